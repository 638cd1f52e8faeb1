"""Sources: prediction logs and label feeds as units that are checked once, and as one canonical relation.

Reads files through DuckDB and tables through SQLAlchemy. Knows how rows are written, never what is computed from them.
"""

from pathlib import Path

from calslo_dagster.sources.base import LabelFeed, LabelSpec, Source, SourceKind, SourceSpec


def open_source(spec: SourceSpec, scratch: Path | None = None) -> Source:
    """Return the prediction log; `scratch` is the folder for extracts of tables, by default the system's own."""
    if spec.kind is SourceKind.SQL:
        from calslo_dagster.sources.sql import TableSource  # noqa: PLC0415 - files need no database library

        return TableSource(spec, scratch)
    from calslo_dagster.sources.files import FileSource  # noqa: PLC0415 - whoever reads a spec needs no reader

    return FileSource(spec)


def open_feed(spec: LabelSpec, scratch: Path | None = None) -> LabelFeed:
    """Return the label feed; `scratch` is the folder for extracts of tables, by default the system's own."""
    if spec.kind is SourceKind.SQL:
        from calslo_dagster.sources.sql import TableLabels  # noqa: PLC0415 - files need no database library

        return TableLabels(spec, scratch)
    from calslo_dagster.sources.files import FileLabels  # noqa: PLC0415 - whoever reads a spec needs no reader

    return FileLabels(spec)
