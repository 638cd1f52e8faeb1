"""Which labels a silence, route or mute is about, written as Alertmanager's matchers."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from shlex import quote
from typing import Final, Self

from calslo_dagster.alerting.patterns import pattern

ALL: Final = "all"
# What every alert has, so that a pattern for anything leaves nothing out.
IDENTITY: Final = frozenset({"kind", "slo", "slice", "model", "environment", "severity"})
# What all alerts of an incident share, and later ones of the same trouble too.
SHARED: Final = ("kind", "slo", "model", "environment")
_LONGEST_VALUE: Final = 1_000
_PARTS: Final = re.compile(
    r"""\s*(?:"(?P<quoted>(?:\\.|[^"\\])*)"|(?P<bare>[^\s=!~<>"',{}][^=!~<>"',{}]*?))\s*(?P<operator>[=!~<>]+)\s*(?P<value>.*?)\s*""",
    re.DOTALL,
)
_STRING: Final = re.compile(r"\"(?:\\.|[^\"\\])*\"|'[^']*'", re.DOTALL)
_ESCAPED: Final = re.compile(r'\\([\\"n])')
# Unlike each other, so that only a pattern for anything knows them all.
_SAMPLES: Final = ("a", "Zq", "0", "9.9", "*", "~", "é", "a=b,c=d", " ", "-_-")


class Operator(StrEnum):
    """How the value of a label is compared; patterns are for the whole value."""

    IS = "="
    IS_NOT = "!="
    LIKE = "=~"
    UNLIKE = "!~"

    @property
    def is_pattern(self) -> bool:
        """Whether the value is a regular expression."""
        return self in (Operator.LIKE, Operator.UNLIKE)

    @property
    def is_negated(self) -> bool:
        """Whether it holds for the values that differ."""
        return self in (Operator.IS_NOT, Operator.UNLIKE)


@dataclass(frozen=True, slots=True)
class Matcher:
    """One claim about a label; a label that is missing is the empty text."""

    label: str
    operator: Operator
    value: str

    def __post_init__(self) -> None:
        if not self.label:
            raise ValueError(f"{self} names no label; write slo=ece_bound")
        if len(self.value) > _LONGEST_VALUE:
            raise ValueError(
                f"the value of {self.label} has {len(self.value)} characters; {_LONGEST_VALUE} are allowed"
            )
        if self.operator.is_pattern:
            pattern(self.value)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the matcher of `label=value`, `label!=value`, `label=~regex` or `label!~regex`, quotes optional."""
        parts = _PARTS.fullmatch(text)
        if parts is None:
            raise ValueError(f"{text!r} is no matcher; write label=value, label!=value, label=~regex or label!~regex")
        known = {str(operator): operator for operator in Operator}
        operator = parts["operator"]
        if operator not in known:
            remedy = f"one of {', '.join(known)}; a value that begins with one of = ! ~ < > goes in quotes"
            raise ValueError(f"{text!r} has the unknown operator {operator}; write {remedy}")
        label = parts["bare"] if parts["quoted"] is None else _plain(parts["quoted"])
        try:
            return cls(label, known[operator], _value(parts["value"]))
        except ValueError as error:
            raise ValueError(f"{text!r}: {error}") from None

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether the claim holds for these labels."""
        return self._holds(labels.get(self.label, ""))

    @property
    def is_loose(self) -> bool:
        """Whether it leaves nothing out: it holds without the label, or for any value of one that every alert has."""
        return self._holds("") or (self.label in IDENTITY and all(map(self._holds, _SAMPLES)))

    def names(self, value: str) -> bool:
        """Whether this is the value, or one of those, that it speaks of, be it to hold for them or not."""
        return pattern(self.value)(value) if self.operator.is_pattern else value == self.value

    @property
    def argument(self) -> str:
        """The matcher as an argument of a command in a shell, without quotes where none are needed."""
        bare = f"{self.label}{self.operator}{self.value}"
        is_plain = self.value and re.fullmatch(r"[\w.:/@%+-]+", self.value, re.ASCII) and quote(bare) == bare
        return bare if is_plain else quote(str(self))

    def __str__(self) -> str:
        label = self.label if re.fullmatch(r"[^\s=!~<>\"',{}]+", self.label) else _quoted(self.label)
        return f"{label}{self.operator}{_quoted(self.value)}"

    def _holds(self, value: str) -> bool:
        return self.names(value) is not self.operator.is_negated


def matches(matchers: Iterable[Matcher], labels: Mapping[str, str]) -> bool:
    """Whether all of the matchers hold; without any, everything matches."""
    return all(matcher.matches(labels) for matcher in matchers)


def shared(labels: Mapping[str, str]) -> tuple[Matcher, ...]:
    """Return the matchers of what the alerts of an incident with these labels share, and those of no other one."""
    return tuple(Matcher(name, Operator.IS, labels[name]) for name in SHARED if labels.get(name))


def leave_nothing_out(matchers: Iterable[Matcher]) -> bool:
    """Whether the matchers hold for practically every alert."""
    return all(matcher.is_loose for matcher in matchers)


def written(matchers: Iterable[Matcher]) -> str:
    """Return the matchers in one line, `all` if there is none."""
    return ", ".join(map(str, matchers)) or ALL


def _value(text: str) -> str:
    if text[:1] not in ('"', "'"):
        return text
    if not _STRING.fullmatch(text):
        raise ValueError(f'the quotes around {text} do not pair; write \\" for a quote inside quotes')
    return _plain(text[1:-1]) if text[0] == '"' else text[1:-1]


def _plain(text: str) -> str:
    return _ESCAPED.sub(lambda found: "\n" if found[1] == "n" else found[1], text)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
