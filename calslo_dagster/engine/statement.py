"""The SQL text of the aggregate: one SELECT per fact, from the canonical relation and a dialect.

A sum is fixed point, per event `floor(x * scale + 0.5)`; the products below are taken from left to right. Squares of
proper scores are of the score, weighted once: sum w*b*b, which with sum w^2 gives the variance of a weighted mean.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from calslo_dagster.engine import grading
from calslo_dagster.engine.dialect import Dialect
from calslo_dagster.engine.facts import CELLS, LATENCY, MASKS, PENDING_COLUMNS, TOTALS, Fact
from calslo_dagster.engine.parquet import event_order
from calslo_dagster.engine.spec import AggregateSpec
from calslo_dagster.stats.snapshot import BAD_REASONS, LATENCY_BUCKETS, LATENCY_GAMMA, REST_SCALE, Z_SCALE, scale_of

_BRIER: Final = "((s - y) * (s - y))"
_SURPRISE: Final = "((y - s) * (1.0 - 2.0 * s))"
_SPREAD: Final = "((1.0 - 2.0 * s) * (1.0 - 2.0 * s) * (s * (1.0 - s)))"
# From here on doubles skip integers. No part of a sum of numbers >= 0 is above the whole, so a sum that is below was
# exact all the way, in whatever order it was added.
_EXACT_BELOW: Final = 2**53


@dataclass(frozen=True, slots=True)
class Term:
    """What an event adds to a sum where `among` is 1: its weight, `weight` times a factor, times a value.

    is_wide: such sums may be negative, or large, and are never added as doubles; is_rest: what is added is what
    rounding takes off.
    """

    value: str = ""
    weight: int = 1
    among: str = ""
    is_wide: bool = False
    is_rest: bool = False


# s: score, w: weight, l: labelled or not, y: label, loss: log loss; l, y and loss are 0 without a label.
EVENT_TERMS: Final[Mapping[str, Term]] = MappingProxyType(
    {
        "w": Term(),
        "ws": Term("s"),
        "wss": Term("s * s"),
        "alpha": Term("alpha", weight=0, is_wide=True),
        "alpha2": Term("alpha * alpha", weight=0, is_wide=True),
    }
)
LABEL_TERMS: Final[Mapping[str, Term]] = MappingProxyType(
    {
        "w_lab": Term(among="l"),
        "w2_lab": Term(weight=2, among="l"),
        "ws_lab": Term("s", among="l"),
        "wss_lab": Term("s * s", among="l"),
        "wy_lab": Term(among="y"),
        "wsy_lab": Term("s", among="y"),
        "brier": Term(_BRIER, among="l"),
        "brier2": Term(f"{_BRIER} * {_BRIER}", among="l"),
        "log_loss": Term("loss", among="l"),
        "log_loss2": Term("loss * loss", among="l"),
        "z_num": Term(_SURPRISE, among="l", is_wide=True),
        "z_var": Term(_SPREAD, weight=2, among="l", is_wide=True),
        "z_num_rest": Term(_SURPRISE, among="l", is_wide=True, is_rest=True),
        "z_var_rest": Term(_SPREAD, weight=2, among="l", is_wide=True, is_rest=True),
    }
)


@dataclass(frozen=True, slots=True)
class Statement:
    """Renders the facts of coded events; of each its `code` (`grading.coded`) and whether copies of it `conflicted`.

    is_weighted: whether any weight is neither 1 nor null; without one, sums of weights are counts, which cost less.
    adds_doubles: add fixed-point numbers as doubles, which costs less; a sum that this may falsify raises.
    """

    dialect: Dialect
    spec: AggregateSpec
    is_weighted: bool = True
    adds_doubles: bool = False

    def fact(self, fact: Fact, relation: str) -> str:
        """Return the SELECT of one fact of the relation, sorted by its key."""
        rows = grading.cleaned(self.dialect, self.spec, relation)
        if fact is TOTALS:
            return self._grouped(fact, grading.labelled(rows), self._total_sums())
        if fact is CELLS:
            # A group without a bin is of rows with a valid score that were rejected nevertheless. It is dropped at the
            # end, because engines move a condition on rows to where they have to grade each of them twice.
            rows = grading.binned(grading.labelled(rows))
            return self._grouped(fact, rows, self._cell_sums(), having="count(bin) > 0")
        counts = {"n": "count(*)"}
        if fact is LATENCY:
            return self._grouped(fact, f"SELECT *, {_bucket()} FROM ({rows}) AS cleaned", counts, where="latency >= 0")
        if fact is MASKS:
            return self._grouped(fact, rows, counts, where="code = 0 AND mask_id IS NOT NULL")
        raise ValueError(f"no statement yields the fact {fact.name!r}")

    def labels(self, fact: Fact, changes: str) -> str:
        """Return what labels add to totals or cells, sorted by key.

        `changes` has the columns of pending with `label` and `sign`: 1 for a label added, -1 for one taken back.
        """
        names = [*grading.slice_names(self.spec.slice_columns), "event_us", "version", "bin", "label", "sign"]
        rows = f"SELECT {', '.join(names)}, score AS s, weight AS w FROM ({changes}) AS changes"
        sums = {name: self._fixed(name, LABEL_TERMS[name], "sign") for name in fact.sums if name in LABEL_TERMS}
        return self._grouped(fact, grading.labelled(rows), {"n_lab": "CAST(sum(sign) AS BIGINT)", **sums})

    def pending(self, relation: str) -> str:
        """Return the unlabelled good events that have an id, sorted by time."""
        rows = grading.binned(grading.cleaned(self.dialect, self.spec, relation))
        values = {"score": "s", "weight": "w", "bin": "CAST(bin AS SMALLINT)"}
        columns = [f"{values.get(name, name)} AS {name}" for name in PENDING_COLUMNS] + self._slices()
        waiting = "code = 0 AND label IS NULL AND prediction_id IS NOT NULL AND NOT conflicted"
        order = [f"{self.dialect.quote(name)} NULLS FIRST" for name in event_order(self.spec.slice_columns)]
        chosen = f"SELECT {', '.join(columns)} FROM ({rows}) AS binned WHERE {waiting}"
        return f"SELECT * FROM ({chosen}) AS waiting ORDER BY {', '.join(order)}"

    def _grouped(self, fact: Fact, rows: str, sums: Mapping[str, str], *, where: str = "", having: str = "") -> str:
        bucket = self.dialect.divide("event_us", fact.resolution_us)
        groups = [bucket, *grading.slice_names(self.spec.slice_columns), "version", *fact.keys]
        keys = [f"{bucket} * {fact.resolution_us} AS t", *self._slices(), "version", *map(_narrow, fact.keys)]
        values = [f"{sums.get(name, 'CAST(0 AS BIGINT)')} AS {name}" for name in fact.sums]
        # Labels move no event in time, and null is what minima and maxima pass over.
        values += [f"{sums.get(name, 'CAST(NULL AS BIGINT)')} AS {name}" for name in (*fact.firsts, *fact.lasts)]
        return (
            f"SELECT {', '.join([*keys, *values])} FROM ({rows}) AS graded{f' WHERE {where}' if where else ''}"
            f" GROUP BY {', '.join(groups)}{f' HAVING {having}' if having else ''}"
            f" ORDER BY {', '.join(f'{place + 1} NULLS FIRST' for place in range(len(keys)))}"
        )

    def _total_sums(self) -> dict[str, str]:
        count = self.dialect.count_if
        good = count("code = 0")
        reasons = {reason: count(f"code = {grading.REASON_CODES[reason]}") for reason in BAD_REASONS}
        counts = {
            "n": good,
            "n_lab": "count(label)",
            "n_clamp_known": "count(is_clamped)",
            "n_clamped": count("is_clamped"),
            "n_alpha": "count(alpha)",
            "n_latency": count("latency >= 0"),
            "n_slow": count(f"latency >= {grading.double(self.spec.latency_limit_us)}"),
            "bad_latency": count("latency < 0"),
            "duplicates": count(f"code = {grading.REPEATED}"),
            "conflicts": count("code = 0 AND conflicted"),
            "first_us": "min(CASE WHEN code = 0 THEN event_us END)",
            "last_us": "max(CASE WHEN code = 0 THEN event_us END)",
        }
        return self._fixed_sums(good) | reasons | counts

    def _cell_sums(self) -> dict[str, str]:
        # An invalid score is a cell of its own, whose rows have no weight.
        good = "CASE WHEN bin < 0 THEN 0 ELSE count(bin) END"
        return self._fixed_sums(good) | {"n": "count(bin)", "n_lab": "count(label)"}

    def _fixed_sums(self, good: str) -> dict[str, str]:
        """Return the sums of all terms; `good` counts the events."""
        sums = {name: self._fixed(name, term) for name, term in {**EVENT_TERMS, **LABEL_TERMS}.items()}
        if self.is_weighted:
            return sums
        counts = {"w": good, "w_lab": "count(label)", "w2_lab": "count(label)"}
        return sums | {name: f"{scale_of(name)} * {count}" for name, count in counts.items()}

    def _fixed(self, name: str, term: Term, sign: str = "") -> str:
        weights = ["w"] * term.weight if self.is_weighted else []
        if self.adds_doubles and not term.is_wide:
            return _added(_product(*weights, term.value), scale_of(name), term.among)
        value = _product(term.among, *weights, term.value)
        if term.is_rest:
            return self.dialect.fixed_sum(_rest(value), REST_SCALE, sign)
        return self.dialect.fixed_sum(value, scale_of(name), sign)

    def _slices(self) -> list[str]:
        columns = self.spec.slice_columns
        return [
            f"{inner} AS {self.dialect.quote(name)}"
            for inner, name in zip(grading.slice_names(columns), columns, strict=True)
        ]


def _product(*factors: str) -> str:
    return " * ".join(filter(None, factors)) or "1.0"


def _rest(value: str) -> str:
    """Return what `floor(value * scale + 0.5)` leaves of `value * scale`, which is exact: both are multiples of one."""
    scaled = f"{value} * {Z_SCALE}"
    return f"({scaled} - floor({scaled} + 0.5))"


def _added(value: str, scale: int, among: str) -> str:
    """Return the BIGINT sum of fixed-point numbers that are not negative, added as doubles; raise if it may be off."""
    total = f"sum({_product(f'floor({value} * {scale} + 0.5)', among)})"
    # Infinity is a double that no engine casts to BIGINT.
    checked = f"CASE WHEN {total} >= {_EXACT_BELOW} THEN CAST('Infinity' AS DOUBLE) ELSE {total} END"
    return f"COALESCE(CAST({checked} AS BIGINT), 0)"


def _narrow(key: str) -> str:
    return key if key == "mask_id" else f"CAST({key} AS SMALLINT) AS {key}"


def _bucket() -> str:
    """Return the log bucket of a latency: bucket i has the upper bound LATENCY_GAMMA ** i microseconds."""
    steps = f"ceil(ln(greatest(latency, 1.0)) / {grading.double(math.log(LATENCY_GAMMA))})"
    return f"least({LATENCY_BUCKETS - 1}, CAST({steps} AS BIGINT)) AS bucket"
