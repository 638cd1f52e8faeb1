"""Regular expressions whose time is bounded by pattern times text, whatever the pattern.

Python's own engine tries one way after the other: `(a+)+b` against forty letters outlives the process that should have
paged. Here all ways are followed at once, letter by letter, as Alertmanager's and Prometheus' engine does it.
"""

import re
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

LONGEST: Final = 200
# Repetitions are unrolled, so that a{50}{50} would be 2,500 states; more than this is no name that a person meant.
MOST_STATES: Final = 5_000
_DEEPEST: Final = 20
_IGNORE_CASE: Final = "(?i)"
_PIECE: Final = re.compile(
    r"\[\^?\]?(?:\\.|[^\]\\])*\]"  # a set of characters
    r"|\\."
    r"|\(\?:?"
    r"|(?:[*+?]|\{\d+(?:,\d*)?\}|\{,\d*\})[?+]?"  # how often, and whether lazily or possessively
    r"|.",
    re.DOTALL,
)
_REPEATS: Final = re.compile(r"[*+?]|\{(\d*)(,?)(\d*)\}")
_CLASSES: Final = frozenset("dDwWsSnrtfva")


@dataclass(frozen=True, slots=True)
class _Letter:
    """One character that passes the test."""

    passes: Callable[[str], object]


@dataclass(frozen=True, slots=True)
class _Edge:
    """The start of the text or its end."""

    is_end: bool


@dataclass(frozen=True, slots=True)
class _Row:
    """One part after the other."""

    parts: tuple["_Node", ...]


@dataclass(frozen=True, slots=True)
class _Choice:
    """Any one of the options."""

    options: tuple["_Node", ...]


@dataclass(frozen=True, slots=True)
class _Repeat:
    """The inner part from `least` to `most` times; None is without end."""

    inner: "_Node"
    least: int
    most: int | None


_Node = _Letter | _Edge | _Row | _Choice | _Repeat


@lru_cache(maxsize=1_024)
def pattern(text: str) -> Callable[[str], bool]:
    """Return the test whether a whole text is of this pattern.

    It knows letters, `.`, sets, classes of characters, groups, `|`, `*`, `+`, `?`, `{m,n}`, `^`, `$` and a leading
    `(?i)`; `.` stands for every character, line breaks too. Raises ValueError for everything else.
    """
    if len(text) > LONGEST:
        raise ValueError(f"the regex {text[:40]}... has {len(text)} characters; {LONGEST} are allowed")
    whole = _python(text)
    if _is_plain(text):
        return lambda value: whole.fullmatch(value) is not None
    machine = _Machine.of(_Reader(text).read(), text)
    return machine.accepts


def _python(text: str) -> re.Pattern[str]:
    """Return the pattern of Python's own engine, which finds every mistake in the notation."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", FutureWarning)
        try:
            return re.compile(text, re.DOTALL)
        except (re.error, FutureWarning, OverflowError, RecursionError) as error:
            raise ValueError(
                f"{text!r} is no regex: {error}; write a character itself as \\ and the character"
            ) from None


def _is_plain(text: str) -> bool:
    """Whether Python's engine is fast on it by itself: nothing nested, and at most two repetitions."""
    body = text.removeprefix(_IGNORE_CASE)
    foreign = re.search(r"\(|\\[^\WdDwWsSnrtfva]|[*+?}]\+", body)
    return not foreign and len(re.findall(r"[*+?{]", body)) <= 2


class _Reader:
    """Reads a pattern that Python has found well-formed into its parts."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.flags = re.DOTALL | (re.IGNORECASE if text.startswith(_IGNORE_CASE) else 0)
        self.pieces = _PIECE.findall(text.removeprefix(_IGNORE_CASE))
        self.at = 0
        self.depth = 0

    def read(self) -> _Node:
        """Return the whole pattern."""
        return self._choice()

    def _choice(self) -> _Node:
        options = [self._row()]
        while self._next() == "|":
            self.at += 1
            options.append(self._row())
        return options[0] if len(options) == 1 else _Choice(tuple(options))

    def _row(self) -> _Node:
        parts = list[_Node]()
        while self._next() not in ("", "|", ")"):
            parts.append(self._repeated(self._part()))
        return _Row(tuple(parts))

    def _part(self) -> _Node:
        piece = self._next()
        self.at += 1
        if piece in ("(", "(?:"):
            return self._group()
        if piece in ("^", "$"):
            return _Edge(piece == "$")
        if piece == "(?":
            self._refuse("a group that begins with (?", "write plain groups ( ), and (?i) only at the very start")
        if piece[0] == "\\" and piece[1].isalnum() and piece[1] not in _CLASSES:
            self._refuse(piece, "write the character itself; \\d, \\w, \\s and their opposites are there")
        return _Letter(re.compile(piece, self.flags).fullmatch if piece[0] in "\\[." or self._folds else piece.__eq__)

    def _group(self) -> _Node:
        self.depth += 1
        if self.depth > _DEEPEST:
            self._refuse(f"more than {_DEEPEST} groups inside each other", "write fewer")
        inner = self._choice()
        self.depth -= 1
        self.at += 1
        return inner

    def _repeated(self, inner: _Node) -> _Node:
        piece = self._next()
        found = _REPEATS.match(piece)
        if found is None:
            return inner
        if len(piece) > 1 and piece.endswith("+"):
            self._refuse(piece, f"write {piece[:-1]}")
        self.at += 1
        if piece[0] in "*+?":
            return _Repeat(inner, int(piece[0] == "+"), 1 if piece[0] == "?" else None)
        least, comma, most = found.groups()
        return _Repeat(inner, int(least or 0), int(most) if most else None if comma else int(least))

    @property
    def _folds(self) -> bool:
        return bool(self.flags & re.IGNORECASE)

    def _next(self) -> str:
        return self.pieces[self.at] if self.at < len(self.pieces) else ""

    def _refuse(self, what: str, remedy: str) -> None:
        raise ValueError(f"the regex {self.text!r} holds {what}, which takes unbounded time or is not known; {remedy}")


@dataclass(slots=True)
class _Machine:
    """States that are all followed at once: each has the next ones, and what a letter or place must be to go on."""

    text: str
    nexts: list[tuple[int, ...]] = field(default_factory=list)
    letters: dict[int, Callable[[str], object]] = field(default_factory=dict)
    edges: dict[int, bool] = field(default_factory=dict)
    first: int = 0
    last: int = 0
    effort: int = 0

    @classmethod
    def of(cls, node: _Node, text: str) -> "_Machine":
        """Return the machine of a pattern."""
        machine = cls(text)
        machine.last = machine._state()
        machine.first = machine._built(node, machine.last)
        return machine

    def accepts(self, value: str) -> bool:
        """Whether the whole value is of the pattern."""
        length = len(value)
        states = self._reached((self.first,), 0, length)
        for place, letter in enumerate(value, start=1):
            passed = [self.nexts[state][0] for state in states if state in self.letters and self.letters[state](letter)]
            if not passed:
                return False
            states = self._reached(passed, place, length)
        return self.last in states

    def _reached(self, states: Iterable[int], place: int, length: int) -> set[int]:
        """Return the states and those that follow without a letter."""
        found, waiting = set[int](), list(states)
        while waiting:
            state = waiting.pop()
            holds = place == (length if self.edges[state] else 0) if state in self.edges else True
            if state in found or not holds:
                continue
            found.add(state)
            if state not in self.letters:
                waiting.extend(self.nexts[state])
        return found

    def _state(self, *nexts: int) -> int:
        self.nexts.append(nexts)
        return len(self.nexts) - 1

    def _built(self, node: _Node, then: int) -> int:
        """Add the states of a part that goes on to `then`; return where it begins."""
        self.effort += 1
        if self.effort > MOST_STATES:
            raise ValueError(f"the regex {self.text!r} repeats repetitions too often; use * or + instead of counts")
        if isinstance(node, _Letter | _Edge):
            state = self._state(then)
            if isinstance(node, _Letter):
                self.letters[state] = node.passes
            else:
                self.edges[state] = node.is_end
            return state
        if isinstance(node, _Row):
            for part in reversed(node.parts):
                then = self._built(part, then)
            return then
        if isinstance(node, _Choice):
            return self._state(*[self._built(option, then) for option in node.options])
        return self._built_repeat(node, then)

    def _built_repeat(self, node: _Repeat, then: int) -> int:
        if node.most is None:
            loop = self._state()
            self.nexts[loop] = (self._built(node.inner, loop), then)
            then = loop
        else:
            after = then
            for _ in range(node.most - node.least):
                then = self._state(self._built(node.inner, then), after)
        for _ in range(node.least):
            then = self._built(node.inner, then)
        return then
