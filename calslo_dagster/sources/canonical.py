"""The canonical relation of events or labels: one SELECT over a scan."""

from calslo_dagster.errors import SourceError
from calslo_dagster.sources import complaints
from calslo_dagster.sources.base import FeedSpec, LabelSpec, SourceSpec, Span
from calslo_dagster.sources.reading import Reading, Scan, keeps, quote, read
from calslo_dagster.sources.roles import Role, event_roles, label_roles

# The canonical name of a time, once it is a number.
_MICROS = {"event_time": "event_us", "label_time": "label_us"}


def roles_of(spec: FeedSpec) -> tuple[Role, ...]:
    """Return the roles of the columns of this log or label feed, in canonical order."""
    if isinstance(spec, LabelSpec):
        return label_roles(spec)
    if isinstance(spec, SourceSpec):
        return event_roles(spec)
    raise TypeError(f"neither a log nor a label feed: {spec!r}")


def readings(scan: Scan, spec: FeedSpec, where: str) -> tuple[Reading, ...]:
    """Return how each role is read from the scan; a required column that is absent is an error."""
    roles = roles_of(spec)
    absent = [role for role in roles if role.is_required and role.column not in scan.columns]
    if absent:
        raise SourceError(complaints.missing_column(where, absent[0], scan.columns))
    return tuple(read(role, scan, spec, where) for role in roles)


def canonical(scan: Scan, spec: FeedSpec, where: str, span: Span | None) -> str:
    """Return the SELECT of the canonical events or labels of the scan, restricted to the span."""
    columns = readings(scan, spec, where)
    values = [f"{r.value} AS {quote(_MICROS.get(r.role.name, r.role.name))}" for r in columns]
    filters = _pruned(columns, spec, span)
    bounded = [
        f"{_bounded(name, spec)} AS {name}" for key, name in _MICROS.items() if key in {r.role.name for r in columns}
    ]
    inner = f"SELECT {', '.join(values)} FROM {scan.source}{filters}"
    return f"SELECT * REPLACE ({', '.join(bounded)}) FROM ({inner}){_within(spec, span)}"


def nothing(spec: FeedSpec) -> str:
    """Return the SELECT of no events or labels, with the types of some."""
    empty = Scan("", {})
    values = [f"{read(r, empty, spec, '').value} AS {quote(_MICROS.get(r.name, r.name))}" for r in roles_of(spec)]
    return f"SELECT {', '.join(values)} LIMIT 0"


def _bounded(name: str, spec: FeedSpec) -> str:
    """Return the time, or null outside the good times: a bad time belongs to no bucket."""
    low, high = spec.bounds_us()
    return f"CASE WHEN {name} >= {low}" + (f" AND {name} < {high}" if high is not None else "") + f" THEN {name} END"


def _pruned(columns: tuple[Reading, ...], spec: FeedSpec, span: Span | None) -> str:
    # A label whose event time is null belongs to every span, so labels are never pruned by it.
    if span is None or isinstance(spec, LabelSpec):
        return ""
    time = next(r.column for r in columns if r.role.name == "event_time")
    clause = keeps(time, spec, *span) if time else None
    return f" WHERE {clause}" if clause else ""


def _within(spec: FeedSpec, span: Span | None) -> str:
    if span is None:
        return ""
    inside = f"event_us >= {span[0]} AND event_us < {span[1]}"
    return f" WHERE event_us IS NULL OR {inside}" if isinstance(spec, LabelSpec) else f" WHERE {inside}"
