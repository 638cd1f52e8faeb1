"""Statements written by hand that the engine is compared with."""

from benchmarks.logs import SCANNED

_LADDER = " ".join(f"WHEN u >= {2.0 ** -(octave + 1)!r} THEN {octave}" for octave in range(1, 12))


def scan(rows: str) -> str:
    """Return the least that reading the log can cost: the largest value of each of eight columns."""
    return f"SELECT {', '.join(f'max({name})' for name in SCANNED)} FROM {rows}"


def plain(rows: str) -> str:
    """Return what most people write: counts and sums by fifteen equal bins, slice and quarter of an hour."""
    return (
        "SELECT time_bucket(INTERVAL 15 MINUTE, event_time) AS t, intent, language,"
        " least(14, floor(score * 15)) AS bin, count(*) AS n, sum(score) AS s, sum(label) AS y"
        f" FROM {rows} WHERE score BETWEEN 0 AND 1 AND label IS NOT NULL GROUP BY ALL ORDER BY ALL"
    )


def cells(rows: str) -> str:
    """Return the leanest statement for cells of a log-linear grid: 384 bins, eight sums in floating point."""
    invalid = (
        "CASE WHEN score IS NULL THEN -1 WHEN isnan(score) THEN -2 WHEN score < 0 THEN -3 WHEN score > 1 THEN -4"
        " ELSE 0 END AS iv"
    )
    folded = "CASE WHEN score BETWEEN 0 AND 1 THEN (CASE WHEN score >= 0.5 THEN 1 - score ELSE score END) ELSE 0.25 END"
    graded = f"SELECT *, epoch_us(event_time) // 900000000 AS t, score AS s, {invalid}, {folded} AS u FROM {rows}"
    octaves = f"SELECT *, CASE {_LADDER} ELSE 12 END AS o FROM ({graded})"
    fine = "(12 - o) * 16 + least(15, CAST(floor((u * pow(2, o + 1) - 1) * 16) AS INT))"
    placed = f"SELECT *, CASE WHEN o = 12 THEN CAST(floor(u * 65536) AS INT) ELSE {fine} END AS k FROM ({octaves})"
    sums = {
        "n": "count(*)",
        "w": "coalesce(sum(weight), 0)",
        "ws": "coalesce(sum(weight * s), 0)",
        "n_lab": "count(label)",
        "w_lab": "coalesce(sum(CASE WHEN label IS NOT NULL THEN weight END), 0)",
        "ws_lab": "coalesce(sum(CASE WHEN label IS NOT NULL THEN weight * s END), 0)",
        "wy_lab": "coalesce(sum(weight * label), 0)",
        "wsy_lab": "coalesce(sum(weight * s * label), 0)",
    }
    listed = ", ".join(f"{term} AS {name}" for name, term in sums.items())
    return (
        "SELECT t, intent, language, calibrator_version,"
        f" CASE WHEN iv < 0 THEN iv WHEN s >= 0.5 THEN 383 - k ELSE k END AS bin, {listed}"
        f" FROM ({placed}) GROUP BY ALL ORDER BY 1, 2, 3, 4, 5"
    )
