"""The `prometheus` and `datadog` sections: what other monitoring is told, and where."""

from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from calslo_dagster.settings.section import Section
from calslo_dagster.settings.types import Count, Reference, Text, WebAddress


class PrometheusSection(Section):
    """What Prometheus is told."""

    most_series: Annotated[Count, Field(ge=100)] = 20_000
    """So many series about slices at most: all traffic first, then the worst slices; what is left out is counted."""


def _host_and_port(text: str) -> str:
    host, colon, port = text.rpartition(":")
    if not (host and colon and port.isdecimal() and 0 < int(port) < 65_536):
        raise ValueError(f"{text} is no host with a port; write 127.0.0.1:8125")
    return text


class DatadogSection(Section):
    """Where Datadog is told, by an agent or by its API."""

    agent: Annotated[Text, AfterValidator(_host_and_port)] | None = None
    """Host and UDP port of a DogStatsD agent, such as 127.0.0.1:8125; it gets service checks and events, too."""
    url: WebAddress | None = None
    """The API of your site, such as https://api.datadoghq.eu, where there is no agent."""
    api_key: Reference | None = None
    """The key for the API."""

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.agent and self.url:
            raise ValueError("datadog is told by agent or by url, not by both; leave one of them out")
        if bool(self.url) != (self.api_key is not None):
            raise ValueError("url and api_key belong together; write both, or name an agent instead")
        return self
