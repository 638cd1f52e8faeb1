"""Letters as the dispatcher hands them to channels, and facts that are worse than any real ones."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from calslo_dagster.alerting.facts import Facts, Link, Member, Words
from calslo_dagster.alerting.model import Action, Finding, Severity
from calslo_dagster.channels.base import Letter

SINCE = datetime(2026, 3, 2, 10, tzinfo=UTC)
AT = SINCE + timedelta(minutes=12)
DEDUP_KEY = "calslo-" + "5d" * 32
FACTS = Facts(
    incident_id="0123456789abcdef",
    episode=1,
    kind="breach",
    slo="ece_bound",
    model="fraud",
    environment="production",
    severity=Severity.CRITICAL,
    since=SINCE,
    opened_at=SINCE + timedelta(minutes=5),
    at=AT,
    title="Calibration error",
    promise="at most 0.05 over 24 h",
    direction="over-confident (mean 0.31, rate 0.22)",
    measured=14,
    budget="62% of the 30-day budget used",
    changes=("calibrator v12 since 09:40 UTC",),
    cautions=("labels are 3 h late",),
    owner="fraud-ml",
    first_action="roll back to the calibrator before v12",
    why="policy oncall, step 1",
    next_step="lead in 15 min unless acknowledged",
    answers=("calslo alerts ack 0123456789abcdef",),
    links=(Link("Runbook", "https://example.org/runbook?slo=ece_bound&x=1"), Link("Report", "https://example.org/r")),
)


def member(name: str, number: int = 0) -> Member:
    """Return a slice that is too far off its limit."""
    day = timedelta(days=1)
    finding = Finding(
        0.083, 0.071, 0.096, 41_280 - number, 0.05, 0.66, "too far off", window_start=AT - day, window_end=AT
    )
    return Member(name, SINCE, finding)


def facts(slices: int = 3) -> Facts:
    """Return facts with so many slices, all of them listed."""
    listed = tuple(member(f"intent=buy,language=l{number}", number) for number in range(slices))
    return replace(FACTS, slices=slices, worst=listed, peak=listed[0] if listed else None)


def letter(
    action: Action = Action.TRIGGER,
    known: Facts | None = None,
    *,
    key: str = "d1",
    first_try: bool = True,
    ref: Mapping[str, str] | None = None,
    severity: Severity = Severity.CRITICAL,
) -> Letter:
    """Return a letter; a resolve, an acknowledgement say so in their facts."""
    told = known or facts()
    if action is Action.RESOLVE:
        told = replace(told, resolved_at=AT + timedelta(hours=2), acked_by="ana", reason="30 windows in a row were met")
    if action is Action.ACK:
        told = replace(told, acked_by="ana")
    words = Words(f"{action} fraud · over-confident · 0.083 > 0.05", "Since 10:00 UTC.\nRoll back.")
    return Letter(
        key=key,
        incident_id=told.incident_id,
        dedup_key=DEDUP_KEY,
        seq=1,
        episode=told.episode,
        action=action,
        severity=severity,
        words=words,
        facts=told,
        at=told.resolved_at or AT,
        first_try=first_try,
        ref=ref or {},
    )


# What breaks careless senders: markup, mentions, escapes, control and wide characters, and far too much of each.
_NASTY = st.sampled_from(
    ["<!channel>", "<https://x|y>", "&amp;", "&", "<", ">", "`", "*", "_", "\n", "\0", "🚨", "ß", " "]
)
_TEXTS = st.one_of(
    st.just(""),
    st.text(max_size=40),
    st.builds("".join, st.lists(_NASTY, min_size=1, max_size=40)),
    st.builds(lambda piece, n: piece * n, _NASTY, st.integers(1_000, 12_000)),
)
_NUMBERS = st.one_of(st.none(), st.floats(), st.just(1e308))
_FINDINGS = st.builds(
    Finding,
    value=_NUMBERS,
    low=_NUMBERS,
    high=_NUMBERS,
    events=st.integers(0, 10**15),
    limit=st.one_of(st.none(), st.floats(), st.tuples(st.floats(), st.floats())),
    excess=st.floats(),
    reason=_TEXTS,
)
_MEMBERS = st.builds(Member, slice=_TEXTS, since=st.just(SINCE), finding=_FINDINGS)
_LINKS = st.builds(Link, words=_TEXTS, url=st.one_of(_TEXTS, _TEXTS.map("https://example.org/".__add__)))
_LISTS = st.lists(_TEXTS, max_size=30).map(tuple)
hostile_facts = st.builds(
    Facts,
    incident_id=st.just(FACTS.incident_id),
    episode=st.integers(1, 10**6),
    kind=st.sampled_from(["breach", "blind", "burn", "pipeline"]),
    slo=_TEXTS,
    model=_TEXTS,
    environment=_TEXTS,
    severity=st.sampled_from(Severity),
    since=st.just(SINCE),
    opened_at=st.just(SINCE),
    at=st.just(AT),
    title=_TEXTS,
    promise=_TEXTS,
    unit=st.sampled_from(["ratio", "share", "us", "events"]),
    direction=_TEXTS,
    slices=st.integers(0, 10_000),
    measured=st.integers(0, 10_000),
    worst=st.lists(_MEMBERS, max_size=30).map(tuple),
    peak=st.one_of(st.none(), _MEMBERS),
    resolved_at=st.one_of(st.none(), st.just(AT)),
    acked_by=_TEXTS,
    reason=_TEXTS,
    flaps=st.integers(0, 100),
    budget=_TEXTS,
    changes=_LISTS,
    cautions=_LISTS,
    owner=_TEXTS,
    first_action=_TEXTS,
    why=_TEXTS,
    next_step=_TEXTS,
    answers=_LISTS,
    links=st.lists(_LINKS, max_size=20).map(tuple),
    note=_TEXTS,
    flapping=_TEXTS,
    page=st.integers(1, 20),
)
hostile_letters = st.builds(
    lambda known, action, title, text: replace(letter(action), facts=known, words=Words(title, text)),
    hostile_facts,
    st.sampled_from(Action),
    _TEXTS,
    _TEXTS,
)
