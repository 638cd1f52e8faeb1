"""Facts to write messages about: a plain one, and a strategy for nasty ones."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from calslo_dagster.alerting.facts import Facts, Link, Member
from calslo_dagster.alerting.model import Finding, Kind, Severity

START = datetime(2026, 3, 2, 10, tzinfo=UTC)
NOW = START + timedelta(hours=2, minutes=10)
REASON = (
    "Calibration error is 0.0831 over 41,280 events; it must be at most 0.05. "
    "15 equal-mass bins, c = 0.7 from the settings."
)


def finding(value: float | None, events: int = 9_000, limit: float = 0.05, **changes: Any) -> Finding:
    """Return a finding above its limit."""
    past = 0.0 if value is None else (value - limit) / limit
    return Finding(value=value, events=events, limit=limit, excess=past, **changes)


GERMANY = Member(
    "country=de",
    START,
    finding(
        0.0831, 41_280, low=0.0712, high=0.0961, reason=REASON, window_start=START - timedelta(days=1), window_end=START
    ),
)
FRANCE = Member("country=fr", START + timedelta(minutes=30), finding(0.071, limit=0.062, low=0.06, high=0.08))
EVERYTHING = Member("*", START, finding(0.06, 200_000, low=0.055, high=0.065))
BASE = Facts(
    incident_id="1a2b3c4d5e6f7a8b",
    episode=2,
    kind=Kind.BREACH,
    slo="ece_bound",
    model="fraud-v12",
    environment="prod",
    severity=Severity.CRITICAL,
    since=START,
    opened_at=START + timedelta(minutes=15),
    at=NOW,
    title="Calibration error",
    promise="at most 0.05 over 24 h",
    direction="over-confident (mean score 0.31, base rate 0.22)",
    slices=5,
    measured=14,
    worst=(GERMANY, FRANCE, EVERYTHING),
    peak=Member("country=de", START, finding(0.12, 30_000)),
    flaps=3,
    budget="62 % of the 28-day budget in 6 h",
    changes=("calibrator v13 since 09:45 UTC",),
    cautions=("labels come 40 min later than last week",),
    owner="risk-ml",
    first_action="Open the calibration table of the slice.",
    why="policy page, step 1 of 4",
    next_step="lead in 16 min unless acknowledged",
    answers=("calslo alerts ack 1a2b3c4d", "calslo silence add slo=ece_bound"),
    links=(Link("Runbook", "https://runbooks.test/ece_bound"), Link("Report", "https://reports.test/7")),
)
FLAPPING = replace(BASE, flapping="it came back 3 times since 2026-03-02 07:00 UTC; it is told once")
ALONE = replace(BASE, slices=1, worst=(GERMANY,), peak=None, flaps=0)
BLIND = replace(
    ALONE,
    kind=Kind.BLIND,
    severity=Severity.WARNING,
    direction="",
    worst=(Member("country=de", START, Finding(reason="Needs 35 more events: has 165 of 200.")),),
)
BURN = replace(
    ALONE,
    kind=Kind.BURN,
    unit="share",
    direction="",
    promise="99 % of all windows over 28 d",
    worst=(Member("*", START, finding(14.4, 24, limit=6.0)),),
)
PIPELINE = replace(
    ALONE,
    kind=Kind.PIPELINE,
    slo="evaluation",
    title="Nothing has been evaluated",
    model="",
    severity=Severity.EMERGENCY,
    direction="",
    promise="",
    budget="",
    first_action="",
    worst=(Member("*", START, Finding(reason="No SLO has been evaluated since 2026-03-02 10:00 UTC")),),
)
KINDS = (BASE, ALONE, BLIND, BURN, PIPELINE)

# What a log, a person or another system may put into a text: bidirectional marks, lone surrogates, bells, 10 kB of one.
_nasty = st.sampled_from(
    (
        "",
        "a\nb\r\nc\td",
        "\x1b[31mred\x07\x00",
        "\u202eevil\u2066",
        "\ud800",
        "👩‍👩‍👧‍👦" * 40,
        "e" + "\u0301" * 300,
        "x" * 10_000,
        "word " * 2_000,
        "country=de," * 900,
        "{{ 7 * 7 }} {scope} %s",
        "\u2028\u2029\x85",
    )
)
texts = st.one_of(st.text(max_size=40), _nasty)
_floats = st.floats(allow_nan=False, allow_infinity=False)
_values = st.one_of(st.none(), _floats, st.sampled_from((0.0, 5e-324, 1e308, -1e308, 0.05, 0.0499999999)))
_times = st.datetimes(datetime(1970, 1, 2), datetime(2200, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
findings = st.builds(
    Finding,
    value=_values,
    low=_values,
    high=_values,
    events=st.integers(0, 10**15),
    limit=st.one_of(_values, st.tuples(_floats, _floats)),
    excess=_floats,
    reason=texts,
    window_start=st.one_of(st.none(), _times),
    window_end=st.one_of(st.none(), _times),
)
members = st.builds(Member, slice=texts, since=_times, finding=findings, severity=st.sampled_from(Severity))
_several = st.lists(texts, max_size=5).map(tuple)
nasty_facts = st.builds(
    Facts,
    incident_id=texts,
    episode=st.integers(1, 10**9),
    kind=st.one_of(st.sampled_from(Kind).map(str), texts),
    slo=texts,
    model=texts,
    environment=texts,
    severity=st.sampled_from(Severity),
    since=_times,
    opened_at=_times,
    at=_times,
    title=texts,
    promise=texts,
    unit=st.one_of(st.sampled_from(("share", "ratio", "us", "events")), texts),
    direction=texts,
    slices=st.integers(0, 10**6),
    measured=st.integers(0, 10**6),
    worst=st.lists(members, max_size=12).map(tuple),
    peak=st.one_of(st.none(), members),
    resolved_at=st.one_of(st.none(), _times),
    acked_by=texts,
    reason=texts,
    flaps=st.integers(0, 10**6),
    budget=texts,
    changes=_several,
    cautions=_several,
    owner=texts,
    first_action=texts,
    why=texts,
    next_step=texts,
    answers=_several,
    links=st.lists(st.builds(Link, words=texts, url=texts), max_size=6).map(tuple),
    note=texts,
    flapping=texts,
)


def worst_facts(letter: str = "W") -> Facts:
    """Return facts in which everything is as long as it can be."""
    long = letter * 10_000
    words = f"{letter * 7} " * 1_500
    member = Member(long, NOW - timedelta(days=1), finding(1e14, 10**15, 3e13, low=1e14, high=1e14, reason=words))
    return Facts(
        incident_id=f"incident_id {long}",
        episode=10**9,
        kind=Kind.BREACH,
        slo=f"slo {long}",
        model=f"model {long}",
        environment=f"environment {long}",
        severity=Severity.EMERGENCY,
        since=START,
        opened_at=NOW,
        at=NOW,
        title=f"title {long}",
        promise=f"promise {long}",
        unit=f"unit {long}",
        direction=f"direction {long}",
        slices=10_000,
        measured=20_000,
        worst=(member,) * 10_000,
        peak=replace(member, slice=f"peak{long}"),
        resolved_at=NOW + timedelta(days=4_000),
        acked_by=f"acked_by {long}",
        reason=words,
        flaps=10**6,
        budget=f"b{words}",
        changes=tuple(f"{i}{words}" for i in range(1_000)),
        cautions=tuple(f"c{i}{words}" for i in range(1_000)),
        owner=f"owner {long}",
        first_action=f"f{words}",
        why=f"w{words}",
        next_step=f"n{words}",
        answers=tuple(f"{letter * 179}{i}" for i in range(9)),
        links=tuple(Link(long, f"https://{letter * 290}{i}") for i in range(9)),
        note=f"o{words}",
    )
