"""Documents: what a view says, as sections of texts, facts, figures and tables, before any format is chosen.

Pages, files and the REST API show the same document, so that none of them can say something else.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

from calslo_dagster.slo.limits import figure, plain, signed
from calslo_dagster.slo.model import EVERYTHING, Bound

Raw = str | int | float | bool | None
NOTHING: Final = "–"


@dataclass(frozen=True, slots=True)
class Cell:
    """What people read and what programs read; state: one of the words of a state, or of a verdict.

    path: the page that says more, within the application.
    """

    text: str
    raw: Raw = None
    state: str = ""
    path: str = ""


class Reader(StrEnum):
    """Whom a column is for: an interval in words is for people, its two ends are for programs."""

    ALL = "all"
    PEOPLE = "people"
    PROGRAMS = "programs"


@dataclass(frozen=True, slots=True)
class Column:
    """A column: the name that programs know it by, and its heading."""

    key: str
    title: str
    is_number: bool = False
    reader: Reader = Reader.ALL


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of as many cells as there are columns; empty: what to say where there is no row.

    is_aside: it repeats, number by number, what a figure shows; pages fold it, and prints have it at the end.
    """

    key: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    caption: str = ""
    empty: str = "None."
    is_aside: bool = False

    def __post_init__(self) -> None:
        """Refuse rows that do not fit the columns."""
        if stray := next((row for row in self.rows if len(row) != len(self.columns)), None):
            raise ValueError(f"{self.key}: a row of {len(stray)} cells in a table of {len(self.columns)} columns")

    def read_by(self, reader: Reader) -> "Table":
        """Return the table with the columns for people, or those for programs."""
        places = [place for place, column in enumerate(self.columns) if column.reader in (Reader.ALL, reader)]
        columns = tuple(self.columns[place] for place in places)
        return replace(self, columns=columns, rows=tuple(tuple(row[place] for place in places) for row in self.rows))


@dataclass(frozen=True, slots=True)
class Figure:
    """A chart: its Vega-Lite specification with sentinel colours, and the same in words."""

    key: str
    title: str
    spec: Mapping[str, Any]
    described: str
    caption: str = ""


@dataclass(frozen=True, slots=True)
class Fact:
    """One number with its name, and a note on it."""

    key: str
    title: str
    cell: Cell
    note: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """Texts, then facts, then figures, then tables."""

    key: str
    title: str
    texts: tuple[str, ...] = ()
    facts: tuple[Fact, ...] = ()
    figures: tuple[Figure, ...] = ()
    tables: tuple[Table, ...] = ()


@dataclass(frozen=True, slots=True)
class Document:
    """A view: its name, what it is about, how that stands, and since when nothing newer is known.

    as_of: the newest instant that the contents speak of, None where nothing was measured; filters: what was asked for;
    main: the table that stands for the view where only one fits, the first one unless told.
    """

    view: str
    title: str
    lead: tuple[str, ...] = ()
    state: str = ""
    as_of: datetime | None = None
    filters: Mapping[str, str] = field(default_factory=dict)
    sections: tuple[Section, ...] = ()
    main: str = ""

    @property
    def tables(self) -> tuple[Table, ...]:
        """All tables, in order."""
        return tuple(table for section in self.sections for table in section.tables)

    @property
    def figures(self) -> tuple[Figure, ...]:
        """All figures, in order."""
        return tuple(figure for section in self.sections for figure in section.figures)

    def table(self, key: str = "") -> Table | None:
        """Return the table of that name, the main one unless told; None if there is none."""
        return next((table for table in self.tables if (key or self.main) in ("", table.key)), None)

    @property
    def texts(self) -> Iterator[str]:
        """Every text that a reader sees, in order."""
        yield from (self.title, *self.lead)
        for section in self.sections:
            yield from (section.title, *section.texts)
            yield from (text for fact in section.facts for text in (fact.title, fact.cell.text, fact.note))
            yield from (text for one in section.figures for text in (one.title, one.caption))
            shown = (table.read_by(Reader.PEOPLE) for table in section.tables)
            yield from (cell.text for table in shown for row in table.rows for cell in row)


def text(value: object, *, path: str = "") -> Cell:
    """Return a cell that reads as it is; a dash for nothing."""
    shown = str(value) if value not in (None, "") else NOTHING
    return Cell(shown, str(value) if value is not None else None, path=path)


def slice_cell(name: str, *, path: str = "") -> Cell:
    """Return the cell of a slice; the one of all events together is called everything."""
    return Cell("everything" if name == EVERYTHING else name, name, path=path)


def state(word: str, title: str = "") -> Cell:
    """Return the cell of a state."""
    return Cell(title or word, str(word), state=str(word))


def number(value: float | None, *, sign: bool = False) -> Cell:
    """Return the cell of a bare number, with up to four significant digits; a dash for none."""
    if value is None:
        return Cell(NOTHING)
    return Cell((signed if sign else plain)(value).replace("-", "−"), value)


def part(value: float | None) -> Cell:
    """Return the cell of a part of a change, to five decimals; a dash for none."""
    return Cell(NOTHING) if value is None else Cell(f"{value:+.5f}".replace("-", "−"), value)


def count(value: int | None) -> Cell:
    """Return the cell of a whole number."""
    return Cell(NOTHING) if value is None else Cell(f"{value:,}".replace("-", "−"), value)


def share(value: float | None) -> Cell:
    """Return the cell of a share in percent; one that is not quite whole is never rounded to it."""
    return Cell(NOTHING) if value is None else Cell(percent(value), value)


def amount(value: float | None, unit: str) -> Cell:
    """Return the cell of a number with its unit."""
    return Cell(NOTHING) if value is None else Cell(figure(value, unit).replace("-", "−"), value)


def bound(value: Bound | None, unit: str) -> Cell:
    """Return the cell of a limit, or of a pair of them."""
    if not isinstance(value, tuple):
        return amount(value, unit)
    return Cell(" to ".join(figure(end, unit) for end in value), f"{value[0]:.17g} to {value[1]:.17g}")


def interval(low: float | None, high: float | None, unit: str) -> Cell:
    """Return the cell of an interval; programs read its ends from columns of their own."""
    if low is None and high is None:
        return Cell(NOTHING)
    return Cell(" to ".join(amount(end, unit).text for end in (low, high)))


def moment(at: datetime | None) -> Cell:
    """Return the cell of an instant, to the minute, in UTC."""
    if at is None:
        return Cell(NOTHING)
    exact = at.astimezone(UTC)
    return Cell(f"{exact:%Y-%m-%d %H:%M}", f"{exact:%Y-%m-%dT%H:%M:%SZ}")


def percent(value: float) -> str:
    """Return a share in percent; one that is not quite whole is never rounded to it."""
    size = value * 100
    shown = f"{size:.1f}" if abs(size) < 99.95 or size == 100 else f"{size:.3g}" if size > 100 else f"{size:.4g}"
    return f"{shown.removesuffix('.0')} %".replace("-", "−")


def pieces(line: str) -> list[tuple[str, bool]]:
    """Return the parts of a line, each with whether it stands between backticks, which is how commands are written."""
    return [(piece, bool(place % 2)) for place, piece in enumerate(line.split("`")) if piece]


def rows_of(rows: Iterable[Iterable[Cell]]) -> tuple[tuple[Cell, ...], ...]:
    """Return the rows as a table keeps them."""
    return tuple(tuple(row) for row in rows)


def numbers(key: str, title: str, reader: Reader = Reader.ALL) -> Column:
    """Return a column of numbers."""
    return Column(key, title, is_number=True, reader=reader)


def hidden(*keys: str) -> tuple[Column, ...]:
    """Return columns for programs only."""
    return tuple(Column(key, key, reader=Reader.PROGRAMS) for key in keys)
