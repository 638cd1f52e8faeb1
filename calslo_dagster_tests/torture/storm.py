"""A storm: every slice of a model breaks a promise at the same moment."""

from dataclasses import replace
from datetime import datetime
from typing import Final

from calslo_dagster.pipeline.project import Project
from calslo_dagster.slo.model import Verdict
from calslo_dagster.store import breaches, measurements
from calslo_dagster_tests.logs import HOUR
from calslo_dagster_tests.pipeline.courses import measured
from calslo_dagster_tests.torture.scenery import ALWAYS, SLO, breach

MODEL: Final = "fraud"


def slices(count: int) -> list[str]:
    """Return the names of so many slices of two columns."""
    return [f"country=c{number // 100:03d},segment=s{number % 100:03d}" for number in range(count)]


def measure(project: Project, names: list[str], at: datetime) -> None:
    """Put the last measurement of each slice into the store, breached and each a little worse than the one before."""
    rows = [
        measured(at, Verdict.BREACHED, slice=name, model=MODEL, events=100 + number)
        for number, name in enumerate(names)
    ]
    with project.store.write() as session:
        measurements.replace(session, SLO, rows, start=at - HOUR, end=at)


def break_all(project: Project, names: list[str], at: datetime) -> None:
    """Let every slice be in breach from now on; none, without names."""
    first = breach("", at, model=MODEL)
    found = [replace(first, id=f"{name} {at.timestamp():.0f}", slice=name) for name in names]
    with project.store.write() as session:
        breaches.replace_since(session, SLO, found, since=ALWAYS)
