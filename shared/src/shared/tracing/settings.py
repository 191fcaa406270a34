"""What says whether there are traces, where they go and how many: OpenTelemetry's own variables.

Source: opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from shared.settings import HttpUrl

Sampler = Literal[
    "always_on",
    "always_off",
    "traceidratio",
    "parentbased_always_on",
    "parentbased_always_off",
    "parentbased_traceidratio",
]
PARENT_BASED = "parentbased_"
"""Begins the names of those that record what is recorded by who caused it, and nothing else."""


class TraceSettings(BaseModel):
    """The variables of every process that can trace; `services.yml` describes each."""

    model_config = ConfigDict(frozen=True)

    otel_exporter_otlp_endpoint: HttpUrl | None = None
    otel_traces_sampler: Sampler = "parentbased_always_on"
    otel_traces_sampler_arg: Annotated[float, Field(ge=0, le=1)] = 1.0
