"""The environment of a container: each variable's value as Compose interpolates it."""

from infra.stack.compose.addresses import in_compose, postgres_user
from infra.stack.compose.limits import literal
from infra.stack.compose.secrets import Secret, mounted
from infra.stack.plan import Infrastructure, Overlay, Plan, Service, Variable

Environment = tuple[tuple[str, str], ...]


class Values:
    """The environments of one overlay.

    In prod a secret, and a URL that has one inside, is a file below /run/secrets that NAME_FILE
    names; elsewhere it comes from .env.
    """

    def __init__(self, plan: Plan, overlay: Overlay) -> None:
        self._plan = plan
        self._overlay = overlay
        self._absent = {
            service.name for service in plan.services if overlay not in service.overlays
        }
        self._provided = {
            given.name: service.name
            for service in plan.services
            if overlay in service.overlays
            for given in service.provides
        }
        self._files = mounted(plan) if overlay == "prod" else {}

    def of_service(self, service: Service) -> Environment:
        """Return a service's variables with their values."""
        return tuple(self._variable(service, variable) for variable in service.env)

    def of_postgres(self, part: Infrastructure) -> Environment:
        """Return the variables of the PostgreSQL image that make database and user."""
        password = part.variables[0].name
        file = self._files.get((part.name, password))
        return (
            ("POSTGRES_DB", self._plan.project),
            ("POSTGRES_USER", postgres_user(self._plan)),
            ("POSTGRES_PASSWORD_FILE", file.path)
            if file
            else ("POSTGRES_PASSWORD", f"${{{password}:-}}"),
        )

    def _variable(self, service: Service, variable: Variable) -> tuple[str, str]:
        file: Secret | None = self._files.get((service.name, variable.name))
        if file:
            return f"{variable.name}_FILE", file.path
        return variable.name, self._value(service, variable)

    def _value(self, service: Service, variable: Variable) -> str:
        name = variable.given_as
        if self._provided.get(name, service.name) != service.name:
            return f"${{{name}:-{self._usual(service, variable)}}}"
        if variable.kind in {"value", "from"}:
            return self._usual(service, variable)
        if variable.kind == "required" and self._overlay == "prod":
            return f"${{{name}:?set {name} in .env}}"
        return f"${{{name}:-{literal(variable.value or '')}}}"

    def _usual(self, service: Service, variable: Variable) -> str:
        """Return the value of a variable that nobody sets and no stand-in provides."""
        reference = variable.reference
        if reference is None or reference.target in self._absent:
            return literal(variable.value or "")
        return in_compose(self._plan, reference, service.name)
