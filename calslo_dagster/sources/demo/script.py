"""The script of the demo: releases, incidents, and which SLOs must or may notice each.

Outside the incidents every promise is kept: scores are calibrated and both weeks have one law. The default seed draws
no false breach; other seeds draw one false weekly drift of a slice in about ten plays, as long as the SLO asks what its
labels can resolve. One that takes a change at its face value finds many: the log loss of 20,000 labels a week moves by
0.01 in one healthy week of fifteen, the calibration slope in most.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from calslo_dagster.slo.model import EVERYTHING
from calslo_dagster.slo.windows import DAY, STEP, WEEK, Window
from calslo_dagster.sources.demo.population import CTR, RANKER, SLICES, slices_of
from calslo_dagster.sources.demo.spec import DemoSpec

HOUR: Final = timedelta(hours=1)
CANARY_SHARE: Final = 0.10
ON_TIME_DELIVERY: Final = timedelta(minutes=30)


class IncidentKind(StrEnum):
    """What goes wrong, and what its magnitude measures.

    calibration_shift: logits added to the truth behind the scores; clamp_storm: share of the events that is clamped;
    latency_regression: factor on the latency; bad_scores: share of the scores that lies above 1; late_labels: days by
    which the day's label file is late; outage: share of the events that is lost; alpha_jump: what releases that go
    live from its start on add to their clamp alpha.
    """

    CALIBRATION_SHIFT = "calibration_shift"
    CLAMP_STORM = "clamp_storm"
    LATENCY_REGRESSION = "latency_regression"
    BAD_SCORES = "bad_scores"
    LATE_LABELS = "late_labels"
    OUTAGE = "outage"
    ALPHA_JUMP = "alpha_jump"


@dataclass(frozen=True, slots=True)
class Expectation:
    """Breaches of `slo` on `slices` whose onset lies at most `before` the incident and `after` its end."""

    slo: str
    slices: tuple[str, ...]
    before: timedelta = STEP
    after: timedelta = STEP

    def covers(self, slo: str, slice_name: str) -> bool:
        """Whether a breach of this SLO and slice can be meant."""
        return slo == self.slo and slice_name in self.slices


@dataclass(frozen=True, slots=True)
class Incident:
    """One scripted incident: `must` names the breaches it has to cause, each slice one; `may` those that can follow.

    An incident without `must` tests that something harmless opens no breach.
    """

    kind: IncidentKind
    slices: tuple[str, ...]
    offset: timedelta
    duration: timedelta
    magnitude: float
    story: str
    must: tuple[Expectation, ...] = ()
    may: tuple[Expectation, ...] = ()


@dataclass(frozen=True, slots=True)
class Release:
    """A calibrator version of a model; a tenth of the traffic sees it from `canary`, everyone from `live`."""

    model: str
    version: str
    alpha: float
    mask_id: str
    canary: timedelta
    live: timedelta


@dataclass(frozen=True, slots=True)
class Script:
    """All that the log depends on, together with the hour asked for."""

    spec: DemoSpec
    incidents: tuple[Incident, ...] = ()
    releases: tuple[Release, ...] = ()

    def span(self, incident: Incident) -> Window:
        """Return when the incident happens."""
        start = self.spec.opening + incident.offset
        return Window(start, start + incident.duration)

    def of_kind(self, kind: IncidentKind) -> tuple[Incident, ...]:
        """Return the incidents of one kind."""
        return tuple(incident for incident in self.incidents if incident.kind is kind)

    def alpha(self, release: Release) -> float:
        """Return the clamp alpha that the release runs with, a scripted jump included."""
        jumps = (
            jump.magnitude
            for jump in self.of_kind(IncidentKind.ALPHA_JUMP)
            if release.live >= jump.offset and set(jump.slices) <= set(slices_of(model=release.model))
        )
        return release.alpha + sum(jumps)

    def delivered_at(self, day: datetime) -> datetime:
        """Return when the label file of the day that begins at `day` arrives."""
        late = (i.magnitude for i in self.of_kind(IncidentKind.LATE_LABELS) if self.span(i).start == day)
        return day + DAY + ON_TIME_DELIVERY + sum(late) * DAY


_SINCE_EVER: Final = timedelta(days=-100_000)
RELEASES: Final = (
    Release(RANKER, "ranker-3.1", 0.12, "ranker-3.1-mask", _SINCE_EVER, _SINCE_EVER),
    Release(RANKER, "ranker-3.2", 0.13, "ranker-3.2-mask", 7 * DAY, 7 * DAY + 6 * HOUR),
    Release(CTR, "ctr-7.4", 0.10, "ctr-7.4-mask", _SINCE_EVER, _SINCE_EVER),
    Release(CTR, "ctr-8.0", 0.10, "ctr-8.0-mask", 6 * DAY + 18 * HOUR, 7 * DAY),
)


def default_script(spec: DemoSpec) -> Script:
    """Return the demo's script; incidents that a short period does not reach are left out."""
    whole = Script(spec, _incidents(), RELEASES)
    reached = tuple(i for i in whole.incidents if whole.span(i).start >= spec.start)
    return Script(spec, reached, whole.releases)


def healthy_script(spec: DemoSpec) -> Script:
    """Return the same traffic and releases without any incident."""
    return Script(spec, (), RELEASES)


def _incidents() -> tuple[Incident, ...]:
    return (
        _calibration_shift(),
        _clamp_storm(),
        _outage(),
        _alpha_jump(),
        _bad_scores(),
        _latency_regression(),
        _late_labels(),
    )


def _calibration_shift() -> Incident:
    slices = slices_of(intent="navigate", language="de")
    return Incident(
        IncidentKind.CALIBRATION_SHIFT,
        slices,
        offset=2 * DAY + 6 * HOUR,
        duration=30 * HOUR,
        magnitude=-1.5,
        story="A broken feature makes the ranker overstate German navigation.",
        must=(Expectation("ece_bound", slices, after=DAY),),
        may=(
            Expectation("ece_bound", (EVERYTHING,), after=DAY),
            Expectation("weekly_drift", (*slices, EVERYTHING), before=WEEK, after=2 * WEEK),
        ),
    )


def _clamp_storm() -> Incident:
    slices = (*slices_of(intent="research", language="fr"), *slices_of(intent="research", language="es"))
    return Incident(
        IncidentKind.CLAMP_STORM,
        slices,
        offset=3 * DAY + 14 * HOUR,
        duration=3 * HOUR,
        magnitude=0.28,
        story="Inputs outside the training range push a quarter of the scores into the clamp.",
        must=(Expectation("clamp_activation", slices, after=HOUR),),
        may=(
            Expectation("clamp_activation", (EVERYTHING,), after=HOUR),
            Expectation("merged_bins", slices, after=DAY),
            Expectation("weekly_drift", slices, before=WEEK, after=2 * WEEK),
        ),
    )


def _outage() -> Incident:
    return Incident(
        IncidentKind.OUTAGE,
        SLICES,
        offset=4 * DAY + 3 * HOUR,
        duration=HOUR,
        magnitude=1.0,
        story="The log is silent for an hour: unknown, and no breach.",
    )


def _alpha_jump() -> Incident:
    slices = slices_of(model=CTR)
    return Incident(
        IncidentKind.ALPHA_JUMP,
        slices,
        offset=7 * DAY,
        duration=7 * DAY,
        magnitude=0.08,
        story="The new click model clamps with a larger alpha from Monday on.",
        must=(Expectation("clamp_alpha", slices, after=WEEK),),
        may=(Expectation("clamp_alpha", (EVERYTHING,), after=WEEK),),
    )


def _bad_scores() -> Incident:
    slices = slices_of(intent="navigate")
    return Incident(
        IncidentKind.BAD_SCORES,
        slices,
        offset=7 * DAY + 6 * HOUR,
        duration=3 * HOUR,
        magnitude=0.15,
        story="The new ranker skips its last clipping step until it is patched.",
        must=(Expectation("score_range", (*slices, EVERYTHING)),),
    )


def _latency_regression() -> Incident:
    slices = slices_of(model=RANKER)
    return Incident(
        IncidentKind.LATENCY_REGRESSION,
        slices,
        offset=9 * DAY + 12 * HOUR,
        duration=2 * HOUR,
        magnitude=6.0,
        story="A cold cache makes the ranker's calibrator six times slower.",
        # A quarter of an hour holds too few events of most slices for a p99, so only the whole must notice.
        must=(Expectation("p99_latency", (EVERYTHING,)),),
        may=(Expectation("p99_latency", slices),),
    )


def _late_labels() -> Incident:
    return Incident(
        IncidentKind.LATE_LABELS,
        SLICES,
        offset=10 * DAY,
        duration=DAY,
        magnitude=2.0,
        story="A day's labels arrive two days late: less maturity meanwhile, the same results in the end.",
    )
