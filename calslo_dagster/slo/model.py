"""What a service level objective is, what it may look at, and what a measurement of it says."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final, Self

from calslo_dagster.slo.trials import BY_INTERVAL, USUAL_RATES, AlarmRates, Mode, Trial
from calslo_dagster.stats.estimate import Estimate
from calslo_dagster.stats.snapshot import Snapshot

EVERYTHING = "*"


class Cadence(StrEnum):
    """How often an SLO is measured."""

    MINUTE = "minute"
    WEEKLY = "weekly"


class Verdict(StrEnum):
    """The outcome of one measurement."""

    MEETING = "meeting"
    WARNING = "warning"
    BREACHED = "breached"
    UNKNOWN = "unknown"
    ERROR = "error"
    EXCLUDED = "excluded"


# The verdicts of a window that could be judged.
JUDGED: Final = frozenset({Verdict.MEETING, Verdict.WARNING, Verdict.BREACHED})


class Severity(StrEnum):
    """How much it hurts, least first; never part of what identifies an alert."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"
    EMERGENCY = "emergency"

    @property
    def rank(self) -> int:
        """The place in the order, 0 for info."""
        return list(Severity).index(self)


class Operator(StrEnum):
    """How a value is compared with its limit."""

    AT_MOST = "<="
    BELOW = "<"
    AT_LEAST = ">="
    ABOVE = ">"
    EQUAL = "=="
    WITHIN = "within"


@dataclass(frozen=True, slots=True)
class Manifest:
    """What was fitted: one calibrator version of one model, for one slice (`*` for all).

    edges: bin edges of the fit, ascending from 0 to 1, length K + 1; fit_counts: events per bin at fit, length K
    (the fit mask: a bin with 0 has no support); c_hat: the constant of the ECE bound found at fit.
    """

    version: str
    model: str
    slice: str = EVERYTHING
    alpha: float | None = None
    bins: int | None = None
    c_hat: float | None = None
    edges: tuple[float, ...] = ()
    fit_counts: tuple[int, ...] = ()
    mask_id: str | None = None
    fitted_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """What an SLI may look at: one slice over one window.

    current: the window; baseline: the window before it, for weekly comparisons; expected: the manifests of the
    calibrator versions seen, keyed by version; panes: the window cut into spans of the SLO's `pane`, in order, empty
    snapshots included, only for SLOs that name one.
    """

    current: Snapshot
    baseline: Snapshot | None = None
    expected: Mapping[str, Manifest] = field(default_factory=dict)
    baseline_expected: Mapping[str, Manifest] = field(default_factory=dict)
    panes: Sequence[Snapshot] = ()


Bound = float | tuple[float, float]


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits one measurement is judged by, in the unit of the value; None means there is no such limit."""

    fail: Bound | None
    warn: Bound | None = None


_FIELD_OF: Final = dict(zip(Operator, ("at_most", "below", "at_least", "above", "equal", "within"), strict=True))


@dataclass(frozen=True, slots=True)
class Objective:
    """The promise: exactly one of the operators with its fail limit, and an optional warn limit of the same kind.

    `computed` replaces both limits by a function of the evidence, for limits that depend on the number of events;
    the operator's own limit then documents the floor.
    """

    at_most: float | None = None
    below: float | None = None
    at_least: float | None = None
    above: float | None = None
    equal: float | None = None
    within: tuple[float, float] | None = None
    warn: Bound | None = None
    computed: Callable[[Evidence], Limits] | None = None

    def __post_init__(self) -> None:
        """Refuse an objective without exactly one operator."""
        if len(list(self._given())) != 1:
            raise ValueError(f"an objective names exactly one of {', '.join(_FIELD_OF.values())}: {self}")

    @classmethod
    def of(cls, operator: Operator, fail: Bound | None, warn: Bound | None = None) -> Self:
        """Return the objective with this operator and these limits."""
        named: dict[str, Any] = {_FIELD_OF[operator]: fail}
        return cls(warn=warn, **named)

    def _given(self) -> Iterator[tuple[Operator, Bound]]:
        for operator, name in _FIELD_OF.items():
            if (bound := getattr(self, name)) is not None:
                yield operator, bound

    @property
    def operator(self) -> Operator:
        """The operator that was named."""
        return next(self._given())[0]

    @property
    def limit(self) -> Bound:
        """The fail limit that was named."""
        return next(self._given())[1]

    def limits(self, evidence: Evidence) -> Limits:
        """Return the limits for this evidence."""
        return self.computed(evidence) if self.computed else Limits(fail=self.limit, warn=self.warn)


@dataclass(frozen=True, slots=True)
class Override:
    """Other limits for the slices (shell pattern, `*` for all) of the models (shell pattern) it names.

    The first override that matches wins. A limit that it leaves out stays as it is; a warn limit that the new fail
    limit overtakes is dropped.
    """

    fail: Bound | None = None
    warn: Bound | None = None
    slices: str = EVERYTHING
    models: str = EVERYTHING


@dataclass(frozen=True, slots=True)
class SLO:
    """One service level objective; one file each.

    sli: measures the evidence; window: how far back it looks (weekly SLOs look at one ISO week and the one before);
    min_events: fewer events than this in the estimate are `unknown`; target: share of windows that must meet it;
    unit: how the value reads, `share` (0..1, shown in percent), `ratio` (a plain number), `us`, `events` or any other
    word; needs: canonical input columns the SLI rests on; runbook: what to do first when it is breached, one paragraph;
    severity: how much a breach hurts; open_after / close_after: breached / met windows in a row that open / close a
    breach; open_within: the breached ones need not be in a row but among so many windows, 0 for in a row; pane: the
    length of the spans that the SLI wants in `Evidence.panes`, a multiple of 15 minutes, None if it looks at whole
    windows only; mode: how verdicts come about; trial: what they rest on in evidence mode; alarms: how many of them may
    be false then.
    """

    name: str
    title: str
    sli: Callable[[Evidence], Estimate]
    objective: Objective
    window: timedelta = timedelta(hours=24)
    cadence: Cadence = Cadence.MINUTE
    min_events: int = 1
    target: float = 0.99
    unit: str = "ratio"
    needs: frozenset[str] = frozenset()
    description: str = ""
    runbook: str = ""
    owner: str = ""
    severity: Severity = Severity.CRITICAL
    open_after: int = 1
    open_within: int = 0
    close_after: int = 2
    slices: str = EVERYTHING
    overrides: tuple[Override, ...] = ()
    pane: timedelta | None = None
    mode: Mode = Mode.THRESHOLD
    trial: Trial = BY_INTERVAL
    alarms: AlarmRates = USUAL_RATES


@dataclass(frozen=True, slots=True)
class Measurement:
    """One SLO of one slice over one window, judged.

    `window_end` is on the SLO's grid and identifies the row together with `slo` and `slice`; `is_final` says that
    the watermark had passed it, so that only late data can still change it. debiased: the value less what chance alone
    adds to it; bins: occupied bins; e_value: the evidence that the promise is broken, of mean at most 1 while it is
    kept; evidence: log10 of the evidence over what an alarm takes, 0 or more at one; detectable: the least value that
    so many events would have shown with 80 % power, of a `Rate` the least share of hits; needed: how many more events a
    verdict takes, where it is unknown for want of them.
    """

    slo: str
    slice: str
    model: str
    window_start: datetime
    window_end: datetime
    value: float | None
    threshold: Bound | None
    warn_threshold: Bound | None
    low: float | None
    high: float | None
    events: int
    labeled: int
    verdict: Verdict
    reason: str
    is_final: bool = True
    watermark: datetime | None = None
    definition_hash: str = ""
    code_version: str = ""
    run_id: str = ""
    mode: Mode = Mode.THRESHOLD
    debiased: float | None = None
    bins: int | None = None
    e_value: float | None = None
    evidence: float | None = None
    detectable: float | None = None
    needed: int | None = None
