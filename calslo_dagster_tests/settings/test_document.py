"""A YAML file is read the way it looks, and its syntax errors carry a line."""

from pathlib import Path

import pytest

from calslo_dagster.settings.document import Document, Mistake, key_text, parse_document


def parsed(folder: Path, text: str | bytes) -> tuple[Document, list[Mistake]]:
    file = folder / "calslo.yaml"
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return parse_document(file, "calslo.yaml")


def test_plain_words_stay_what_they_look_like(tmp_path: Path) -> None:
    """YAML 1.1 would read these as false, 8, 5400 and a date, or keep 1e-3 as text."""
    document, mistakes = parsed(
        tmp_path, "a: no\nb: 010\nc: 1:30\nd: 2026-02-30\ne: 1e-3\nf: true\non: 7\ng: ~\nh: .5\n"
    )

    assert mistakes == []
    assert document.data == {
        "a": "no", "b": 10, "c": "1:30", "d": "2026-02-30", "e": 0.001, "f": True, "on": 7, "g": None, "h": 0.5,
    }  # fmt: skip


@pytest.mark.parametrize("text", ["", "# only a comment\n", "---\n", "\ufeff"])
def test_an_empty_file_says_nothing(tmp_path: Path, text: str) -> None:
    document, mistakes = parsed(tmp_path, text)

    assert (document.data, mistakes) == ({}, [])


@pytest.mark.parametrize(
    ("text", "line", "told"),
    [
        ("a: [1\nb: 2\n", 2, "is not valid YAML"),
        ("a: 1\n\tb: 2\n", 2, "is not valid YAML"),
        ("a: 1\na: 2\n", 2, "is written twice, first in line 1; keep one"),
        ("s:\n  - x: 1\n    x: 2\n", 3, "is written twice"),
        ("1: a\n", 1, "the key is not text; write it in quotes: '1'"),
        ("- a\n", 1, "must be a mapping"),
        ("a: 1\n---\nb: 2\n", 2, "is not valid YAML"),
        ("a: !!python/object:os.system x\n", 1, "is not valid YAML: could not determine a constructor"),
        ("a: !!int x\n", 0, "holds a value that its tag does not allow"),
        (b"a: \xff\n", 0, "is not UTF-8 text: byte 3 is wrong"),
    ],
)
def test_a_broken_file_is_told_with_its_line(tmp_path: Path, text: str | bytes, line: int, told: str) -> None:
    document, mistakes = parsed(tmp_path, text)

    assert document.data == {}
    assert [m.line for m in mistakes] == [line]
    assert told in mistakes[0].message


def test_a_syntax_error_does_not_quote_the_line_it_is_in(tmp_path: Path) -> None:
    """The line may hold a secret."""
    _, mistakes = parsed(tmp_path, "store_url: [postgresql://u:hunter2@db\n")

    assert mistakes
    assert "hunter2" not in str(mistakes[0])


def test_a_file_that_cannot_be_read_is_a_mistake(tmp_path: Path) -> None:
    _, mistakes = parse_document(tmp_path, "calslo.yaml")

    assert "cannot be read" in str(mistakes[0])


def test_a_mistake_stands_at_the_deepest_key_that_was_written(tmp_path: Path) -> None:
    document, _ = parsed(tmp_path, "sources:\n  - name: a\n    labels:\n      kind: sql\n")

    assert str(document.mistake(("sources", 0, "labels", "kind"), "x")) == "calslo.yaml:4: sources[0].labels.kind: x"
    assert (
        str(document.mistake(("sources", 0, "labels", "sql", "url"), "x")) == "calslo.yaml:3: sources[0].labels.url: x"
    )
    assert str(document.mistake(("lateness",), "x")) == "calslo.yaml:1: lateness: x"
    assert str(Document("calslo.yaml").mistake(("lateness",), "x")) == "calslo.yaml: lateness: x"


def test_merged_keys_keep_the_line_they_were_written_in(tmp_path: Path) -> None:
    document, mistakes = parsed(tmp_path, "base: &base\n  fail: 1\nother:\n  <<: *base\n  warn: 2\n")

    assert mistakes == []
    assert document.data["other"] == {"fail": 1, "warn": 2}
    assert document.mistake(("other", "fail"), "x").line == 2


def test_a_file_that_contains_itself_is_read(tmp_path: Path) -> None:
    document, mistakes = parsed(tmp_path, "a: &a\n  b: *a\n")

    assert mistakes == []
    assert document.data["a"]["b"] is document.data["a"]


def test_keys_are_written_as_people_write_them() -> None:
    assert key_text(("slos", "define", 0, "fail")) == "slos.define[0].fail"
