"""The pages of the documentation, and what they hold: links, code blocks, commands, paths."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
_FENCE: Final = re.compile(r"^[ ]*```(\w*)\n(.*?)^[ ]*```$", re.MULTILINE | re.DOTALL)
_LINK: Final = re.compile(r"\]\(([^)\s]+)\)|src=\"([^\"]+)\"")
_CODE: Final = re.compile(r"`([^`\n]+)`")
_HEADING: Final = re.compile(r"^#+ (.+)$", re.MULTILINE)
_ASSIGNMENT: Final = re.compile(r"[A-Z_]+=\S*")
_PATH: Final = re.compile(r"[\w.-]+(?:/[\w.-]+)*/?")


@dataclass(frozen=True)
class Page:
    """One Markdown file."""

    path: Path

    @property
    def name(self) -> str:
        """The path from the repository's root."""
        return self.path.relative_to(ROOT).as_posix()

    @cached_property
    def text(self) -> str:
        """Everything that is written in it."""
        return self.path.read_text(encoding="utf-8")

    def blocks(self, language: str) -> list[str]:
        """Return the code blocks in one language, without the indentation of the list that they stand in."""
        found = (match for match in _FENCE.finditer(self.text) if match[1] == language)
        return [re.sub(rf"^{_indent(match[2])}", "", match[2], flags=re.MULTILINE) for match in found]

    @property
    def prose(self) -> str:
        """The page without its code blocks."""
        return _FENCE.sub("", self.text)

    def links(self) -> list[str]:
        """Return the targets of links and pictures within the repository."""
        found = (match[1] or match[2] for match in _LINK.finditer(self.prose))
        return [target for target in found if "://" not in target]

    def anchors(self) -> set[str]:
        """Return what a link to a heading of the page may end in."""
        return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in _HEADING.findall(self.text)}

    def spans(self) -> list[str]:
        """Return the pieces of inline code."""
        return _CODE.findall(self.prose)

    def commands(self, program: str) -> Iterator[list[str]]:
        """Yield the arguments of every call of the program, in shell blocks and in inline code."""
        lines = [line for block in self.blocks("sh") for line in block.splitlines()]
        for line in [*lines, *self.spans()]:
            words = shlex.split(line.partition(" > ")[0], comments=True)
            while words and (_ASSIGNMENT.fullmatch(words[0]) or words[0] == "export"):
                words = words[1:]
            if words and words[0] == program:
                yield words[1:]

    def paths(self) -> Iterator[str]:
        """Yield what inline code and shell blocks call by the name of a file or folder of the repository."""
        top = {entry.name for entry in ROOT.iterdir() if not entry.name.startswith(".")}
        words = [word for block in self.blocks("sh") for line in block.splitlines() for word in line.split()]
        for word in [*words, *self.spans()]:
            is_path = _PATH.fullmatch(word) and ("/" in word or "." in word)
            if is_path and word.split("/")[0] in top:
                yield word


def _indent(block: str) -> str:
    return re.match(r" *", block)[0]  # type: ignore[index]  # the pattern matches any text


def pages() -> list[Page]:
    """Return every page that people read."""
    folders = (
        ROOT,
        ROOT / "docs",
        ROOT / "docs" / "reference",
        ROOT / "docs" / "runbooks",
        ROOT / "deploy",
        ROOT / "benchmarks",
    )
    return [Page(path) for folder in folders for path in sorted(folder.glob("*.md"))]


def whole_text() -> str:
    """Return the text of all pages."""
    return "\n".join(page.text for page in pages())
