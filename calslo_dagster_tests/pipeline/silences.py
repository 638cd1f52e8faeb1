"""Silences as people ask for them."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from calslo_dagster.alerting.silences import Silence
from calslo_dagster_tests.pipeline.incident_room import NOON


def a_silence(**changes: Any) -> Silence:
    """Return a silence of six hours from noon on, without its matchers."""
    made = Silence(
        id="",
        matchers=(),
        starts_at=NOON,
        ends_at=NOON + timedelta(hours=6),
        reason="known",
        author="ada",
        created_at=NOON,
    )
    return replace(made, **changes)
