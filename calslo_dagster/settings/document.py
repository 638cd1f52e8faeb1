"""One YAML document with the line of every key, and the mistakes found in it."""

import re
from collections.abc import Collection, Iterable, Iterator, Set
from dataclasses import dataclass, field, replace
from itertools import count, islice
from pathlib import Path
from typing import Any, ClassVar, Final

import yaml

Loc = tuple[str | int, ...]
# The C parser reads a settings file ten times faster; both give the same marks.
_Parser: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_Parser):  # type: ignore[misc]  # which of the two base classes exists is known at run time
    """Reads plain scalars as YAML 1.2 does: `no` is text, 010 is ten, 1e-3 is a number, a date stays text."""

    yaml_implicit_resolvers: ClassVar[dict[str, Any]] = {}


for _tag, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?(0|[1-9][0-9]*)", list("-+0123456789")),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|nan)", list("-+.0123456789")),
    ("merge", r"<<", ["<"]),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"(?:{_pattern})$"), _first)


@dataclass(frozen=True, slots=True, order=True)
class Mistake:
    """One thing that is wrong, where it was written, and what to write."""

    file: str
    line: int
    key: str
    message: str

    def __str__(self) -> str:
        """Return the mistake as one line: `calslo.yaml:12: slos.define[0].fail: ...`."""
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.key}: {self.message}" if self.key else f"{place}: {self.message}"


@dataclass(frozen=True, slots=True)
class Document:
    """The plain data of a settings file; without a file it is empty.

    `dropped` are paths of the file that `data` lacks; the places of what is left are told as they are in the file.
    """

    name: str
    data: dict[str, Any] = field(default_factory=dict)
    root: yaml.Node | None = None
    dropped: frozenset[Loc] = frozenset()

    def mistake(self, loc: Loc, message: str) -> Mistake:
        """Return a mistake at `loc`, with the line of the deepest part of it that was written."""
        line, written = self._place(loc)
        return Mistake(self.name, line, key_text(written), message)

    def value(self, loc: Loc) -> Any:
        """Return the value at `loc`, passing over parts that are not there (the tag of a union)."""
        found: Any = self.data
        for part in self.path(loc):
            found = found[part]
        return found

    def path(self, loc: Loc) -> Loc:
        """Return the parts of `loc` that are there."""
        found: Any = self.data
        parts = list[str | int]()
        for part in loc:
            if part in _keys(found):
                found = found[part]
                parts.append(part)
        return tuple(parts)

    def without(self, locs: Iterable[Loc]) -> "Document":
        """Return the document as if what lies at `locs` were not written."""
        gone = frozenset(map(self.path, locs))
        dropped = self.dropped | {self._place(loc)[1] for loc in gone}
        return replace(self, data=_pruned(self.data, (), gone), dropped=dropped)

    def _place(self, loc: Loc) -> tuple[int, Loc]:
        """Return line and path; parts that no node has (the tag of a union) are passed over, save the last."""
        node, line, written = self.root, 1 if self.root else 0, list[str | int]()
        for position, part in enumerate(loc):
            key = self._number(written, part) if isinstance(part, int) else part
            found = _child(node, key)
            if found is not None:
                line, node = found
            if found is not None or position == len(loc) - 1:
                written.append(key)
        return line, tuple(written)

    def _number(self, path: Iterable[str | int], index: int) -> int:
        """Return the number in the file of an item of the list at `path`: those that were dropped count there."""
        gone = {loc[-1] for loc in self.dropped if loc[:-1] == tuple(path)}
        return next(islice((number for number in count() if number not in gone), index, None))


def _keys(data: Any) -> Collection[Any]:
    return data if isinstance(data, dict) else range(len(data)) if isinstance(data, list) else ()


def _pruned(data: Any, path: Loc, gone: Set[Loc]) -> Any:
    if isinstance(data, dict):
        return {key: _pruned(value, (*path, key), gone) for key, value in data.items() if (*path, key) not in gone}
    if isinstance(data, list):
        return [_pruned(value, (*path, index), gone) for index, value in enumerate(data) if (*path, index) not in gone]
    return data


def key_text(loc: Iterable[str | int]) -> str:
    """Return a path as people write it: `sources[0].columns.score`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc)
    return text.removeprefix(".")


def _child(node: yaml.Node | None, part: str | int) -> tuple[int, yaml.Node] | None:
    if isinstance(node, yaml.MappingNode):
        # The last of two equal keys wins, as it does in the data.
        for key, value in reversed(node.value):
            if key.value == part:
                return key.start_mark.line + 1, value
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        return node.value[part].start_mark.line + 1, node.value[part]
    return None


def parse_document(path: Path, name: str) -> tuple[Document, list[Mistake]]:
    """Return the document at `path` and what is wrong with its syntax; `name` stands for it in messages."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        return Document(name), [Mistake(name, 0, "", f"cannot be read: {error.strerror}")]
    except UnicodeDecodeError as error:
        return Document(name), [
            Mistake(name, 0, "", f"is not UTF-8 text: byte {error.start} is wrong; save it as UTF-8")
        ]
    return _parse_text(text, name)


def _parse_text(text: str, name: str) -> tuple[Document, list[Mistake]]:
    loader = _Loader(text)
    try:
        root = loader.get_single_node()
        mistakes = [Mistake(name, line, key, message) for line, key, message in _bad_keys(root, ())]
        data = {} if root is None or mistakes else loader.construct_document(root)
    except yaml.YAMLError as error:
        return Document(name), [_syntax_mistake(name, error)]
    except ValueError as error:
        # Only a value with an explicit tag, such as `!!int x`, gets this far; its constructor knows no line.
        return Document(name), [Mistake(name, 0, "", f"holds a value that its tag does not allow: {error}")]
    finally:
        loader.dispose()
    data = {} if data is None else data
    if not isinstance(data, dict):
        return Document(name), [Mistake(name, 1, "", "must be a mapping of keys to values, such as `lateness: 10m`")]
    return Document(name, data, root), mistakes


def _syntax_mistake(name: str, error: yaml.YAMLError) -> Mistake:
    # The text of a mark quotes the line, which may hold a secret; the problem alone does not.
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "it cannot be parsed"
    return Mistake(name, mark.line + 1 if mark else 0, "", f"is not valid YAML: {problem}")


def _bad_keys(root: yaml.Node | None, path: Loc) -> Iterator[tuple[int, str, str]]:
    """Yield keys that are written twice or are not text; YAML itself would take the last one in silence."""
    seen_nodes, waiting = set[int](), [(root, path)]
    while waiting:
        node, path = waiting.pop()
        if node is None or id(node) in seen_nodes:
            continue
        seen_nodes.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            waiting.extend((child, (*path, index)) for index, child in enumerate(node.value))
        if isinstance(node, yaml.MappingNode):
            yield from _bad_pairs(node, path)
            waiting.extend((value, (*path, str(key.value))) for key, value in node.value)


def _bad_pairs(node: yaml.MappingNode, path: Loc) -> Iterator[tuple[int, str, str]]:
    first = dict[str, int]()
    for key, _ in node.value:
        line = key.start_mark.line + 1
        if not key.tag.endswith((":str", ":merge")):
            yield line, key_text((*path, str(key.value))), f"the key is not text; write it in quotes: {key.value!r}"
        elif key.value in first:
            yield line, key_text((*path, key.value)), f"is written twice, first in line {first[key.value]}; keep one"
        else:
            first[key.value] = line
