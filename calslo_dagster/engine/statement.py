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
from calslo_dagster.stats.snapshot import BAD_REASONS, LATENCY_BUCKETS, LATENCY_GAMMA, scale_of

_BRIER: Final = "((s - y) * (s - y))"
_SPREAD: Final = "((1.0 - 2.0 * s) * (1.0 - 2.0 * s) * (s * (1.0 - s)))"
# s: score, w: weight, v: weight of a labelled row, y: label, loss: log loss; v and y are 0 without a label.
EVENT_TERMS: Final[Mapping[str, str]] = MappingProxyType(
    {"w": "w", "ws": "w * s", "wss": "w * s * s", "alpha": "alpha", "alpha2": "alpha * alpha"}
)
LABEL_TERMS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "w_lab": "v",
        "w2_lab": "v * v",
        "ws_lab": "v * s",
        "wss_lab": "v * s * s",
        "wy_lab": "v * y",
        "wsy_lab": "v * s * y",
        "brier": f"v * {_BRIER}",
        "brier2": f"v * {_BRIER} * {_BRIER}",
        "log_loss": "v * loss",
        "log_loss2": "v * loss * loss",
        "z_num": "v * (y - s) * (1.0 - 2.0 * s)",
        "z_var": f"v * v * {_SPREAD}",
    }
)


@dataclass(frozen=True, slots=True)
class Statement:
    """Renders the facts of coded events; of each its `code` (`grading.coded`) and whether copies of it `conflicted`.

    is_weighted: whether any weight is neither 1 nor null; without one, sums of weights are counts, which cost less.
    """

    dialect: Dialect
    spec: AggregateSpec
    is_weighted: bool = True

    def fact(self, fact: Fact, relation: str) -> str:
        """Return the SELECT of one fact of the relation, sorted by its key."""
        rows = grading.cleaned(self.dialect, self.spec, relation)
        if fact is TOTALS:
            return self._grouped(fact, grading.weighted(rows), self._event_sums(fact))
        if fact is CELLS:
            rows = grading.binned(grading.weighted(rows))
            return self._grouped(fact, rows, self._event_sums(fact), where=f"code >= {grading.LOWEST_INVALID_BIN}")
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
        return self._grouped(fact, grading.weighted(rows), {"n_lab": "CAST(sum(sign) AS BIGINT)", **sums})

    def pending(self, relation: str) -> str:
        """Return the unlabelled good events that have an id, sorted by time."""
        rows = grading.binned(grading.cleaned(self.dialect, self.spec, relation))
        values = {"score": "s", "weight": "w", "bin": "CAST(bin AS SMALLINT)"}
        columns = [f"{values.get(name, name)} AS {name}" for name in PENDING_COLUMNS] + self._slices()
        waiting = "code = 0 AND label IS NULL AND prediction_id IS NOT NULL AND NOT conflicted"
        order = [f"{self.dialect.quote(name)} NULLS FIRST" for name in event_order(self.spec.slice_columns)]
        chosen = f"SELECT {', '.join(columns)} FROM ({rows}) AS binned WHERE {waiting}"
        return f"SELECT * FROM ({chosen}) AS waiting ORDER BY {', '.join(order)}"

    def _grouped(self, fact: Fact, rows: str, sums: Mapping[str, str], where: str = "") -> str:
        bucket = f"{self.dialect.divide('event_us', fact.resolution_us)} * {fact.resolution_us} AS t"
        keys = [bucket, *self._slices(), "version", *(_narrow(key) for key in fact.keys)]
        values = [f"{sums.get(name, 'CAST(0 AS BIGINT)')} AS {name}" for name in fact.sums]
        # Labels move no event in time, and null is what minima and maxima pass over.
        values += [f"{sums.get(name, 'CAST(NULL AS BIGINT)')} AS {name}" for name in (*fact.firsts, *fact.lasts)]
        places = [str(i + 1) for i in range(len(keys))]
        return (
            f"SELECT {', '.join([*keys, *values])} FROM ({rows}) AS graded{f' WHERE {where}' if where else ''}"
            f" GROUP BY {', '.join(places)} ORDER BY {', '.join(f'{place} NULLS FIRST' for place in places)}"
        )

    def _event_sums(self, fact: Fact) -> dict[str, str]:
        count = self.dialect.count_if
        sums = {name: self._fixed(name, term) for name, term in {**EVENT_TERMS, **LABEL_TERMS}.items()}
        sums |= {reason: count(f"code = {grading.REASON_CODES[reason]}") for reason in BAD_REASONS}
        sums |= {
            # A row with an invalid score is a cell of its own.
            "n": "count(*)" if fact is CELLS else count("code = 0"),
            "n_lab": count("label IS NOT NULL"),
            "n_clamp_known": count("is_clamped IS NOT NULL"),
            "n_clamped": count("is_clamped"),
            "n_alpha": count("alpha IS NOT NULL"),
            "n_latency": count("latency >= 0"),
            "n_slow": count(f"latency >= {grading.double(self.spec.latency_limit_us)}"),
            "bad_latency": count("latency < 0"),
            "duplicates": count(f"code = {grading.REPEATED}"),
            "conflicts": count("code = 0 AND conflicted"),
            "first_us": "min(CASE WHEN code = 0 THEN event_us END)",
            "last_us": "max(CASE WHEN code = 0 THEN event_us END)",
        }
        return sums if self.is_weighted else sums | self._weight_counts()

    def _weight_counts(self) -> dict[str, str]:
        counted = {"w": "code = 0", "w_lab": "label IS NOT NULL", "w2_lab": "label IS NOT NULL", "wy_lab": "label = 1"}
        return {name: f"{scale_of(name)} * {self.dialect.count_if(test)}" for name, test in counted.items()}

    def _fixed(self, name: str, term: str, sign: str = "") -> str:
        return self.dialect.fixed_sum(term, scale_of(name), sign)

    def _slices(self) -> list[str]:
        columns = self.spec.slice_columns
        return [
            f"{inner} AS {self.dialect.quote(name)}"
            for inner, name in zip(grading.slice_names(columns), columns, strict=True)
        ]


def _narrow(key: str) -> str:
    return key if key == "mask_id" else f"CAST({key} AS SMALLINT) AS {key}"


def _bucket() -> str:
    """Return the log bucket of a latency: bucket i has the upper bound LATENCY_GAMMA ** i microseconds."""
    steps = f"ceil(ln(greatest(latency, 1.0)) / {grading.double(math.log(LATENCY_GAMMA))})"
    return f"least({LATENCY_BUCKETS - 1}, CAST({steps} AS BIGINT)) AS bucket"
