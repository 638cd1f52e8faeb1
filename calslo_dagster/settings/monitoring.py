"""The `prometheus` section: what other monitoring is told."""

from typing import Annotated

from pydantic import Field

from calslo_dagster.settings.section import Section
from calslo_dagster.settings.types import Count


class PrometheusSection(Section):
    """What Prometheus is told."""

    most_series: Annotated[Count, Field(ge=100)] = 20_000
    """So many series about slices at most: all traffic first, then the worst slices; what is left out is counted."""
