"""From the canonical relation to graded events: the reason of each rejected row, the fine bin of each good one.

Every function wraps a SELECT in another one. The octave is found before the bin, each in its own subquery: Spark's
generated Java outgrows its compiler when they are one expression.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from calslo_dagster.engine.dialect import Dialect
from calslo_dagster.engine.spec import AggregateSpec
from calslo_dagster.stats import grid

MAX_WEIGHT: Final = 10_000
# An alpha beyond this is as unknown as NaN: its square would fill 64 bits within some thousand events.
MAX_ALPHA: Final = 1_000
# Codes of rows kept out of the sums; those of scores are the grid's invalid bins. In order of precedence.
REASON_CODES: Final = {
    **{reason: grid.INVALID_BINS[reason] for reason in ("null", "nan", "infinite", "below", "above")},
    "bad_weight": -6,
    "bad_label": -7,
}
REPEATED: Final = -8
LOWEST_INVALID_BIN: Final = min(grid.INVALID_BINS.values())

# Columns that a repeat of a prediction can differ in, in the order that decides which copy counts.
EVENT_COLUMNS: Final = {
    "event_us": "BIGINT",
    "score": "DOUBLE",
    "label": "SMALLINT",
    "prediction_id": "VARCHAR",
    "weight": "DOUBLE",
    "latency_us": "DOUBLE",
    "clamped": "BOOLEAN",
    "clamp_alpha": "DOUBLE",
    "calibrator_version": "VARCHAR",
    "mask_id": "VARCHAR",
}
_INFINITE: Final = "CAST('Infinity' AS DOUBLE)"


def slice_names(columns: Sequence[str]) -> list[str]:
    """Return what slice columns are called between the relation and the facts, where any name must be free."""
    return [f"slice_{i}" for i in range(len(columns))]


def double(value: float) -> str:
    """Return a literal that every engine reads as this very double; without an exponent it would be a decimal."""
    return f"{value:.17e}"


def coded(dialect: Dialect, relation: str, repeated: str = "false") -> str:
    """Return the rows with `code`: 0, or why the row is kept out of the sums; `repeated` tells copies of an event."""
    # NaN is above every number in SQL: beyond each upper bound, and so told apart before `above`.
    reasons = {
        "null": "score IS NULL",
        "nan": dialect.is_nan("score"),
        "infinite": f"score = {_INFINITE} OR score = -{_INFINITE}",
        "below": "score < 0",
        "above": "score > 1",
    }
    others = {"bad_weight": f"NOT (weight BETWEEN 0 AND {MAX_WEIGHT})", "bad_label": "NOT (label BETWEEN 0 AND 1)"}
    # Nearly every row is good, and most engines evaluate an arm only for rows that no arm before it took.
    good = f"WHEN score BETWEEN 0 AND 1 THEN CASE {_arms(others)} ELSE 0 END"
    code = f"CASE WHEN {repeated} THEN {REPEATED} {good} {_arms(reasons)} END"
    return f"SELECT *, CAST({code} AS SMALLINT) AS code FROM ({relation}) AS events"


def _arms(tests: Mapping[str, str]) -> str:
    return " ".join(f"WHEN {test} THEN {REASON_CODES[reason]}" for reason, test in tests.items())


def cleaned(dialect: Dialect, spec: AggregateSpec, rows: str) -> str:
    """Return coded rows that have a time, with values that no sum can trip over.

    Rejected rows have score and weight 0 and no label. `latency` is -1 where it is no number of microseconds.
    """
    bad_latency = f"{dialect.is_nan('latency_us')} OR latency_us < 0 OR latency_us = {_INFINITE}"
    bad_alpha = f"{dialect.is_nan('clamp_alpha')} OR abs(clamp_alpha) > {MAX_ALPHA}"
    columns = [
        *("event_us", "prediction_id", "mask_id", "code", "conflicted", *slice_names(spec.slice_columns)),
        "coalesce(calibrator_version, '') AS version",
        "CASE WHEN code = 0 THEN score ELSE 0.0 END AS s",
        "CASE WHEN code = 0 THEN coalesce(weight, 1.0) ELSE 0.0 END AS w",
        "CASE WHEN code = 0 THEN label END AS label",
        f"CASE WHEN code <> 0 THEN NULL WHEN {bad_latency} THEN -1.0 ELSE latency_us END AS latency",
        f"CASE WHEN code <> 0 OR {bad_alpha} THEN NULL ELSE clamp_alpha END AS alpha",
        f"CASE WHEN code = 0 THEN {_clamped(spec)} END AS is_clamped",
    ]
    return f"SELECT {', '.join(columns)} FROM ({rows}) AS coded WHERE event_us IS NOT NULL"


def _clamped(spec: AggregateSpec) -> str:
    bounds = (("score <=", spec.clamp_low), ("score >=", spec.clamp_high))
    known = " OR ".join(f"{test} {double(bound)}" for test, bound in bounds if bound is not None)
    return f"coalesce(clamped, {known})" if known else "clamped"


def labelled(rows: str) -> str:
    """Return rows with what sums over labelled events need.

    `l` is 1 with a label, `y` with the label 1, else both are 0; `loss` is the log loss, 0 without a label.
    """
    p = f"greatest(least(s, 1.0 - {double(2.0**-52)}), {double(2.0**-52)})"
    columns = [
        "CASE WHEN label IS NULL THEN 0e0 ELSE 1e0 END AS l",
        "CASE WHEN label = 1 THEN 1e0 ELSE 0e0 END AS y",
        f"CASE WHEN label IS NULL THEN 0.0 WHEN label = 1 THEN -ln({p}) ELSE -ln(1.0 - {p}) END AS loss",
    ]
    return f"SELECT *, {', '.join(columns)} FROM ({rows}) AS cleaned"


def binned(rows: str) -> str:
    """Return cleaned rows with their fine `bin`; that of an invalid score is its code, of other rejected rows null.

    Powers of two, `1 - s` for s >= 1/2 and products of few bits are exact, so no engine can disagree: `steps` is the
    number of cell widths in one unit, `cell` counts them from zero, `low` is the lower end of the cell, `passed` the
    number of multiples of 1/60 up to there, and the only one that can cut the cell is the next.
    """
    folded = f"SELECT *, CASE WHEN s >= 0.5 THEN 1.0 - s ELSE s END AS u FROM ({rows}) AS labelled"
    rungs = f"SELECT *, {_rung()} AS rung FROM ({folded}) AS folded"
    stepped = f"SELECT *, floor(rung) AS steps FROM ({rungs}) AS rungs"
    # u = 1/2 is the closed end of the last cell of its half.
    last = grid.CELLS_PER_UNIT // 2 - 1
    counted = f"SELECT *, least({last}, floor(u * steps)) AS cell FROM ({stepped}) AS stepped"
    half = f"(rung - steps) * {grid.SUB_BINS**2} + cell AS k"
    low = "CASE WHEN s >= 0.5 THEN 1.0 - (cell + 1) / steps ELSE cell / steps END AS low"
    placed = f"SELECT *, {half}, {low} FROM ({counted}) AS counted"
    halves = f"SELECT *, floor(low * {grid.SPLIT_BASE}) AS passed FROM ({placed}) AS placed"
    cut = f"(passed + 1) / CAST({grid.SPLIT_BASE} AS DOUBLE)"
    fine = (
        f"(CASE WHEN s >= 0.5 THEN {grid.CELLS - 1} - k ELSE k END) + passed"
        f" + CASE WHEN s >= {cut} AND passed < {grid.SPLIT_BASE - 1} THEN 1 ELSE 0 END"
    )
    codes = f"WHEN code >= {LOWEST_INVALID_BIN} THEN code"
    return f"SELECT *, CASE WHEN code = 0 THEN {fine} {codes} END AS bin FROM ({halves}) AS halves"


def _rung() -> str:
    """Return what differs between octaves of `u`, as one number, so that one CASE finds it.

    The whole part is the number of cell widths in one unit; the fraction times 256 is what to add to the cell to count
    cells from zero up. Cells are as wide in all that is above the first octave, and in all that is below the last one.
    """
    octaves = range(grid.FIRST_OCTAVE, grid.LAST_OCTAVE + 1)
    rungs = [2 * grid.SUB_BINS * 2.0**octave + (octaves[-1] - octave) / grid.SUB_BINS for octave in octaves]
    ends = [2.0 ** -(octave + 1) for octave in octaves[:-1]]
    arms = [f"WHEN u >= {double(end)} THEN {double(rung)}" for end, rung in zip(ends, rungs, strict=False)]
    return f"CASE {' '.join(arms)} ELSE {double(rungs[-1])} END"
