"""Every format holds the same, is the same bytes each time, and is safe to open."""

import csv
import io
import json
import re
from dataclasses import replace
from xml.etree import ElementTree as ET

import pypdf
import pytest

from calslo_dagster.errors import ExportError
from calslo_dagster.exports.render import MEDIA_TYPES, Format, rendered
from calslo_dagster.reporting.document import Document, Section, Table, numbers, rows_of, text
from calslo_dagster_tests.exports.documents import AT, HOSTILE, a_document, a_table


def pdf_text(content: bytes) -> str:
    """Return the text of a PDF file, without its line breaks and the marks where a line may break."""
    pages = pypdf.PdfReader(io.BytesIO(content)).pages
    return re.sub(r"[\s`\u200b]+", "", "".join(page.extract_text() for page in pages))


def squeezed(line: str) -> str:
    """Return a text as `pdf_text` does."""
    return re.sub(r"[\s`\u200b]+", "", line)


@pytest.mark.parametrize("form", Format)
def test_the_same_document_is_the_same_bytes(form: Format) -> None:
    assert rendered(a_document(), form) == rendered(a_document(), form)
    assert MEDIA_TYPES[form]


def test_json_has_numbers_as_numbers_by_the_names_of_their_columns() -> None:
    found = json.loads(rendered(a_document(), Format.JSON))

    [table] = found["sections"][2]["tables"]
    assert (found["view"], found["as_of"], found["filters"]) == (
        "overview",
        "2026-03-02T12:00:00Z",
        {"slo": "ece_bound"},
    )
    assert [row["value"] for row in table["rows"]] == [0.034, 0.5, None]
    assert [row["state"] for row in table["rows"]] == ["breached", "meeting", "unknown"]
    assert "interval" not in table["rows"][0]
    assert found["sections"][0]["facts"]["score"]["value"] == 63.0
    assert found["sections"][1]["figures"][0]["spec"]["layer"]


def test_csv_is_read_back_and_is_no_formula() -> None:
    rows = list(csv.DictReader(io.StringIO(rendered(a_document(), Format.CSV).decode())))

    assert [(row["slice"], row["value"], row["run_id"]) for row in rows] == [
        ("*", "0.034", "r1"), ("language=en", "0.5", "r2"), ("language=de", "", ""),
    ]  # fmt: skip
    assert rows[1]["reason"] == f"'{HOSTILE}"


def test_csv_of_a_table_that_there_is_not_says_which_there_are() -> None:
    with pytest.raises(ExportError, match="overview has no table 'bins'; there are cards"):
        rendered(a_document(), Format.CSV, table="bins")
    with pytest.raises(ExportError, match="there are none"):
        rendered(Document("empty", "Nothing"), Format.CSV)


def test_html_is_one_file_that_asks_for_nothing_and_runs_nothing() -> None:
    page = rendered(a_document(), Format.HTML).decode()

    assert not re.findall(r"<script|<link|<iframe|\bon\w+=|url\(|@import", page)
    assert not re.findall(r'(?:src|href)="(?!#)', page)
    assert "&lt;script&gt;alert(1)" in page
    assert "default-src &#39;none&#39;" in page
    assert page.count("<svg") >= 4
    assert "<code>calslo explain</code>" in page
    assert "var(--band)" in page


def test_pdf_holds_every_text_and_number_and_has_the_date_of_the_data() -> None:
    content = rendered(a_document(), Format.PDF)
    found, document = pdf_text(content), a_document()

    assert [line for line in document.texts if squeezed(line) not in found] == []
    info = pypdf.PdfReader(io.BytesIO(content)).metadata
    assert info is not None
    assert info.title == document.title
    assert info.creation_date is not None
    assert info.creation_date.replace(tzinfo=AT.tzinfo) == AT


def test_pdf_is_tagged_for_screen_readers() -> None:
    reader = pypdf.PdfReader(io.BytesIO(rendered(a_document(), Format.PDF)))

    assert {"/MarkInfo", "/StructTreeRoot", "/Lang"} <= reader.root_object.keys()
    assert reader.xmp_metadata is not None
    assert b"pdfuaid:part" in reader.xmp_metadata.stream.get_data()


def test_a_sign_that_no_font_has_does_not_keep_the_rest_from_being_printed() -> None:
    strange = replace(a_document(), title="\U00010900 calibration")

    assert "calibration" in pdf_text(rendered(strange, Format.PDF))


def test_pictures_are_one_page_of_everything_but_long_tables() -> None:
    table = Table("long", "Long", (numbers("n", "N"),), rows_of([text(f"row{n}")] for n in range(40)))
    long = a_document(sections=(Section("long", "Long", tables=(table,)),))

    png, svg = rendered(long, Format.PNG), rendered(long, Format.SVG)
    assert png.startswith(b"\x89PNG")
    assert ET.fromstring(svg).tag.endswith("svg")
    assert "row39" in pdf_text(rendered(long, Format.PDF))
    assert png != rendered(a_document(sections=()), Format.PNG)


def test_a_table_that_repeats_a_chart_is_folded_and_printed_at_the_end() -> None:
    aside = a_document(sections=(Section("cards", "Promises", tables=(a_table(is_aside=True),)),))

    assert "<details>" in rendered(aside, Format.HTML).decode()
    assert "Thechartsinnumbers" in pdf_text(rendered(aside, Format.PDF))


def test_markdown_is_plain_to_read() -> None:
    found = rendered(a_document(), Format.MARKDOWN).decode()

    assert found.startswith("# Calibration is critical\n")
    assert "| Breached | everything | 0.034 |" in found
    assert "\\<script\\>" in found
    assert "run_id" not in found
