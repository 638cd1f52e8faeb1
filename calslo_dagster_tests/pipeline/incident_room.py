"""A project with channels and a policy, whose breaches, looks and messages tests place in time as they like."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from calslo_dagster.alerting.model import Incident
from calslo_dagster.pipeline.advance_alerts import advance_alerts
from calslo_dagster.pipeline.deliver_outbox import deliver_outbox
from calslo_dagster.pipeline.project import Project, open_project
from calslo_dagster.pipeline.respond_to_alerts import Answer, Response, respond
from calslo_dagster.settings import load_settings
from calslo_dagster.slo.model import Measurement, Verdict
from calslo_dagster.store import breaches, incidents, measurements
from calslo_dagster.store.breaches import Breach
from calslo_dagster.store.migrations import upgrade

NOON: Final = datetime(2026, 3, 10, 12, tzinfo=UTC)
MINUTE: Final = timedelta(minutes=1)
HOUR: Final = timedelta(hours=1)
SLO: Final = "ece_bound"
LONG_AGO: Final = datetime(2026, 1, 1, tzinfo=UTC)
# Two steps, so that there is a next one; everything goes to the log, which takes every message.
POLICY: Final = """\
  policies:
    default:
      - {notify: [log]}
      - {wait: 15m, notify: [log]}
"""
SETTINGS: Final = """\
home: state
sources: [{{name: serving, model: intent, paths: [log/]}}]
slices: {{columns: [intent]}}
{channels}
alerting:
  environment: prod
{alerting}
"""


@dataclass
class Room:
    """The project, the file of its settings, and how to make time pass."""

    project: Project
    file: Path

    def breach(self, *slices: str, slo: str = SLO, since: datetime = NOON, until: datetime | None = None) -> None:
        """Make these slices the ones of the SLO that are breached, from the quarter hour that ends at `since` on."""
        found = [a_breach(name, slo, since, until) for name in slices]
        with self.project.store.write() as session:
            breaches.replace_since(session, slo, found, since=LONG_AGO)

    def measure(self, slice_name: str, verdict: Verdict, end: datetime = NOON, slo: str = SLO) -> None:
        """Put the measurement of a slice over the day that ends there."""
        with self.project.store.write() as session:
            row = a_measurement(slice_name, verdict, end, slo)
            others = [one for one in measurements.last_rows(session, slo, until=end) if one.window_end == end]
            rows = [*(one for one in others if one.slice != slice_name), row]
            measurements.replace(session, slo, rows, start=end - timedelta.resolution, end=end)

    def look(self, at: datetime = NOON) -> int:
        """Decide as of this instant, and send; return how many messages were ordered."""
        ordered = advance_alerts(self.project, now=at)
        deliver_outbox(self.project, clock=lambda: at)
        return ordered

    def answer(self, answer: Answer, at: datetime, *, by: str = "ada", **words: Any) -> str:
        """Do what a person does about the only open incident."""
        return respond(self.project, Response(answer, self.incident.id, by, "cli", **words), now=at)

    @property
    def incident(self) -> Incident:
        """The newest incident."""
        with self.project.store.read() as session:
            return incidents.recent(session)[0]


def room_at(folder: Path, *, channels: str = "", alerting: str = POLICY, store_url: str = "", more: str = "") -> Room:
    """Return a room in the folder; `channels` are lines below that key, `alerting` lines within that section."""
    section = f"channels:\n{channels}" if channels else ""
    text = SETTINGS.format(channels=section, alerting=alerting) + more
    text += f"store_url: '{store_url}'\n" if store_url else ""
    file = folder / "calslo.yaml"
    file.write_text(text, encoding="utf-8")
    database = folder / "state" / "calslo.db"
    if not store_url and not database.exists():
        database.parent.mkdir()
        database.write_bytes(_empty_store())
    return Room(open_project(load_settings(file, {}), migrate=bool(store_url)), file)


@cache
def _empty_store() -> bytes:
    """Return a store without rows; copying it takes a tenth of the time of making one."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "calslo.db"
        upgrade(f"sqlite:///{file}")
        return file.read_bytes()


def a_breach(slice_name: str, slo: str, since: datetime, until: datetime | None) -> Breach:
    """Return a breach that is eight hundredths off a limit of five."""
    return Breach(
        id=f"{slo}:{slice_name}:{since:%d%H%M}",
        slo=slo,
        slice=slice_name,
        model="intent",
        onset=since - 15 * MINUTE,
        opened_at=since,
        last_bad_at=until or since,
        recovered_at=until,
        closed_at=until,
        peak_value=0.08,
        peak_excess=0.6,
        peak_at=since,
        threshold=0.05,
        windows_bad=1,
        windows_met=0,
        windows_unknown=0,
        windows_excluded=0,
        is_provisional=False,
        reason="ECE is 0.08 over 4,321 events; it must be at most 0.05.",
    )


def a_measurement(slice_name: str, verdict: Verdict, end: datetime, slo: str = SLO) -> Measurement:
    """Return the measurement of a slice with this verdict."""
    value = {Verdict.BREACHED: 0.08, Verdict.MEETING: 0.01, Verdict.WARNING: 0.048}.get(verdict)
    return Measurement(
        slo=slo,
        slice=slice_name,
        model="intent",
        window_start=end - 24 * HOUR,
        window_end=end,
        value=value,
        threshold=0.05,
        warn_threshold=0.045,
        low=None if value is None else value - 0.004,
        high=None if value is None else value + 0.004,
        events=4_321,
        labeled=4_000,
        verdict=verdict,
        reason=f"ECE is {value}." if value is not None else "Only 3 of 200 events are there.",
        watermark=end,
        definition_hash="d" * 64,
        code_version="0.1.0",
        run_id="run-1",
    )


def kinds(reasons: Sequence[Any]) -> list[str]:
    """Return the topics of a chain, each once, in order."""
    return list(dict.fromkeys(str(one.topic) for one in reasons))
