"""A service's OpenAPI files: the operations that its controllers carry out."""

import copy
import re
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from infra.codegen.specs.documents import Document, SpecError
from infra.codegen.specs.models import LOCAL, Models, references
from infra.codegen.specs.validation import openapi_faults
from infra.places.reading import Pointer

METHODS = ("get", "put", "post", "delete", "patch")
SNAKE_CASE = re.compile(r"[a-z][a-z0-9_]*")
PYTHON_TYPES = {"integer": "int", "string": "str", "boolean": "bool", "number": "float"}
LIMITS = {
    "minimum": "ge",
    "maximum": "le",
    "exclusiveMinimum": "gt",
    "exclusiveMaximum": "lt",
    "minLength": "min_length",
    "maxLength": "max_length",
    "pattern": "pattern",
}


@dataclass(frozen=True)
class Parameter:
    """A path or query parameter: its type, and the arguments of FastAPI's `Path` or `Query`."""

    name: str
    place: str
    type: str
    options: dict[str, Any]
    required: bool


@dataclass(frozen=True)
class Response:
    """One answer that an operation may give.

    Attributes:
        status: HTTP status.
        description: What the status means here.
        model: Class of the body; None for no body.
        headers: Headers with a fixed value, sent with this answer.
    """

    status: int
    description: str
    model: str | None
    headers: dict[str, str]


@dataclass(frozen=True)
class Operation:
    """One operation: a method of the controller and the route that calls it."""

    name: str
    method: str
    path: str
    summary: str
    description: str
    tags: tuple[str, ...]
    deprecated: bool
    parameters: tuple[Parameter, ...]
    body: str | None
    success: Response
    errors: tuple[Response, ...]

    @property
    def required(self) -> tuple[Parameter, ...]:
        """Return the parameters that every request has."""
        return tuple(part for part in self.parameters if part.required)

    @property
    def optional(self) -> tuple[Parameter, ...]:
        """Return the parameters that a request may leave out."""
        return tuple(part for part in self.parameters if not part.required)

    @property
    def arguments(self) -> tuple[str, ...]:
        """Return the names of the method's arguments, in its order."""
        body = ("body",) if self.body else ()
        required = (part.name for part in self.required)
        return (*required, *body, *(part.name for part in self.optional))


@dataclass(frozen=True)
class Api:
    """The operations of one file; its name is the file's, for example `users`."""

    name: str
    title: str
    operations: tuple[Operation, ...]


def check(document: Document, models: Models) -> Api:
    """Return the operations of a checked OpenAPI document.

    Raises:
        SpecError: It is no OpenAPI 3.1, or has what the generator cannot translate.
    """
    name = document.path.stem
    if not SNAKE_CASE.fullmatch(name):
        raise SpecError([document.fault((), f"{name!r} cannot name a module; use snake_case")])
    reader = _Reader(document, models)
    bundled = reader.bundle()
    faults = reader.faults or openapi_faults(document, bundled)
    if faults:
        raise SpecError(faults)
    operations = tuple(reader.operations())
    if reader.faults:
        raise SpecError(reader.faults)
    return Api(name, str(document.data["info"]["title"]), operations)


class _Reader:
    def __init__(self, document: Document, models: Models) -> None:
        self.document = document
        self.models = models
        self.faults: list[str] = []

    def bundle(self) -> Any:
        """Return the document with the models that it refers to put inside."""
        inside = "#/components/schemas/"
        data = copy.deepcopy(self.document.data)
        for pointer, ref in references(data):
            name = self.models.name_of(ref, self.document.path)
            if name is None:
                reason = f"{ref!r} is no definition of {self.models.document.name}"
                self._fault(pointer, reason)
                continue
            _put(data, pointer, f"{inside}{name}")
        if not isinstance(data, dict):
            return data
        schemas = copy.deepcopy(self.models.schemas)
        for pointer, ref in references(schemas):
            _put(schemas, pointer, ref.replace(LOCAL, inside))
        components = data.setdefault("components", {})
        if isinstance(components, dict):
            components["schemas"] = schemas
        return data

    def operations(self) -> Iterator[Operation]:
        """Yield every operation, noting a fault for what cannot be translated."""
        names: set[str] = set()
        for path, item in (self.document.data.get("paths") or {}).items():
            for key in item:
                if key not in METHODS:
                    self._fault(("paths", path, key), f"the generator does not know {key!r} here")
            for method in METHODS:
                if method in item:
                    yield self._operation(path, method, item[method], names)

    def _operation(self, path: str, method: str, data: Any, names: set[str]) -> Operation:
        at: Pointer = ("paths", path, method)
        name = str(data.get("operationId", ""))
        if not SNAKE_CASE.fullmatch(name) or name in names:
            self._fault((*at, "operationId"), "needs a snake_case operationId of its own")
        names.add(name)
        if not data.get("summary"):
            self._fault(at, "needs a summary: it becomes the docstring")
        responses = [
            self._response((*at, "responses", status), status, response)
            for status, response in data["responses"].items()
        ]
        good = [response for response in responses if response.status < HTTPStatus.BAD_REQUEST]
        if len(good) != 1:
            self._fault((*at, "responses"), "needs exactly one response below 400")
        return Operation(
            name=name,
            method=method,
            path=path,
            summary=str(data.get("summary", "")),
            description=" ".join(str(data.get("description", "")).split()),
            tags=tuple(data.get("tags") or (self.document.path.stem,)),
            deprecated=bool(data.get("deprecated")),
            parameters=tuple(self._parameters((*at, "parameters"), data.get("parameters") or ())),
            body=self._body((*at, "requestBody"), data.get("requestBody")),
            success=good[0] if good else Response(0, "", None, {}),
            errors=tuple(r for r in responses if r.status >= HTTPStatus.BAD_REQUEST),
        )

    def _parameters(self, at: Pointer, data: Any) -> Iterator[Parameter]:
        for number, parameter in enumerate(data):
            here = (*at, number)
            schema = parameter.get("schema") or {}
            ref = self.models.name_of(schema.get("$ref"), self.document.path)
            if ref:
                schema = {**self.models.resolved(ref), **schema}
            kind = PYTHON_TYPES.get(str(schema.get("type")))
            if kind is None or parameter["in"] not in {"path", "query"}:
                self._fault(here, "the generator knows plain path and query parameters only")
                continue
            options = {LIMITS[key]: schema[key] for key in LIMITS if key in schema}
            text = parameter.get("description") or schema.get("description")
            if text:
                options["description"] = " ".join(text.split())
            name, place = str(parameter["name"]), str(parameter["in"])
            yield Parameter(name, place, kind, options, bool(parameter.get("required")))

    def _body(self, at: Pointer, data: Any) -> str | None:
        if data is None:
            return None
        if not data.get("required"):
            self._fault(at, "the generator knows required bodies only; add 'required: true'")
        return self._model((*at, "content"), data["content"])

    def _response(self, at: Pointer, status: str, data: Any) -> Response:
        if not str(status).isdecimal():
            self._fault(at, f"the generator knows numeric statuses only, not {status!r}")
            status = "500"
        headers = {
            name: str(header["schema"]["const"])
            for name, header in (data.get("headers") or {}).items()
            if "const" in (header.get("schema") or {})
        }
        content = data.get("content")
        model = self._model((*at, "content"), content) if content else None
        return Response(int(status), " ".join(data["description"].split()), model, headers)

    def _model(self, at: Pointer, content: Any) -> str | None:
        """Return the class of a body that has one media type."""
        if len(content) != 1:
            self._fault(at, "the generator knows one media type a body only")
            return None
        media, body = next(iter(content.items()))
        ref = (body.get("schema") or {}).get("$ref")
        name = self.models.name_of(ref, self.document.path)
        if name is None or not self.models.is_class(name):
            self._fault((*at, media), "the schema must be a $ref to an object of models.yaml")
            return None
        return name

    def _fault(self, at: Pointer, reason: str) -> None:
        self.faults.append(self.document.fault(at, reason))


def _put(data: Any, pointer: Pointer, value: Any) -> None:
    """Replace the value under a pointer that is known to exist."""
    for step in pointer[:-1]:
        data = data[step]
    data[pointer[-1]] = value
