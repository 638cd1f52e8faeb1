"""What differs between the SQL engines that can run the aggregate: five functions and the quoting of names."""

from dataclasses import dataclass
from typing import Protocol


class Dialect(Protocol):
    """How one SQL engine writes the functions on which engines disagree; arguments are SQL expressions."""

    def quote(self, name: str) -> str:
        """Return a column name as an identifier."""
        ...

    def epoch_micros(self, instant: str) -> str:
        """Return microseconds since 1970 UTC of a timestamp with time zone."""
        ...

    def is_nan(self, value: str) -> str:
        """Return whether a double is NaN; null or false for null."""
        ...

    def divide(self, value: str, divisor: int) -> str:
        """Return the integer quotient of a non-negative BIGINT."""
        ...

    def count_if(self, condition: str) -> str:
        """Return the number of rows for which the condition is true."""
        ...

    def fixed_sum(self, value: str, scale: int, sign: str = "") -> str:
        """Return the BIGINT sum of `floor(value * scale + 0.5)`, each times the integer `sign`, 0 for no rows.

        The text must raise when the sum leaves 64 bits, never wrap.
        """
        ...


@dataclass(frozen=True, slots=True)
class DuckDb:
    """DuckDB 1.4 to 2."""

    def quote(self, name: str) -> str:
        """Double quotes."""
        return '"' + name.replace('"', '""') + '"'

    def epoch_micros(self, instant: str) -> str:
        """`epoch_us`."""
        return f"epoch_us({instant})"

    def is_nan(self, value: str) -> str:
        """`isnan`."""
        return f"isnan({value})"

    def divide(self, value: str, divisor: int) -> str:
        """`//`."""
        return f"({value} // {divisor})"

    def count_if(self, condition: str) -> str:
        """`FILTER`, because `count_if` is null where the condition is null in every row, and a HUGEINT."""
        return f"count(*) FILTER (WHERE {condition})"

    def fixed_sum(self, value: str, scale: int, sign: str = "") -> str:
        """`sum` of BIGINT is a HUGEINT; the cast back raises on overflow."""
        return f"COALESCE(CAST(sum({_fixed(value, scale, sign)}) AS BIGINT), 0)"


@dataclass(frozen=True, slots=True)
class Spark:
    """Spark 4, in its default ANSI mode, where a sum that overflows raises."""

    def quote(self, name: str) -> str:
        """Backticks."""
        return "`" + name.replace("`", "``") + "`"

    def epoch_micros(self, instant: str) -> str:
        """`unix_micros`, which refuses a timestamp without time zone unless cast."""
        return f"unix_micros(cast({instant} as timestamp))"

    def is_nan(self, value: str) -> str:
        """`isnan`."""
        return f"isnan({value})"

    def divide(self, value: str, divisor: int) -> str:
        """`div`; `/` would be a double."""
        return f"({value} div {divisor})"

    def count_if(self, condition: str) -> str:
        """`count_if` is a BIGINT already."""
        return f"count_if({condition})"

    def fixed_sum(self, value: str, scale: int, sign: str = "") -> str:
        """`sum` of BIGINT is a BIGINT."""
        return f"COALESCE(sum({_fixed(value, scale, sign)}), 0)"


def _fixed(value: str, scale: int, sign: str) -> str:
    fixed = f"CAST(floor({value} * {scale} + 0.5) AS BIGINT)"
    return f"{sign} * {fixed}" if sign else fixed
