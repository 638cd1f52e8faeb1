"""What the lower floors get is what the file says, in their own types."""

from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path

import pytest

from calslo_dagster.engine.connect import EngineSettings
from calslo_dagster.engine.spec import AggregateSpec
from calslo_dagster.errors import SettingsError
from calslo_dagster.settings import Settings, load_settings
from calslo_dagster.slo.budget import TIERS, Tier
from calslo_dagster.slo.exclusions import Exclusion
from calslo_dagster.slo.windows import Window
from calslo_dagster.sources.base import ColumnMap, FileFormat, LabelSpec, SourceKind, SourceSpec, TimeUnit
from calslo_dagster.sources.demo.generate import MANIFESTS
from calslo_dagster.sources.demo.spec import EVENTS, LABELS
from calslo_dagster_tests.settings.files import FULL, loaded

NOW = datetime(2026, 3, 5, 12, tzinfo=UTC)
LATEST = NOW + timedelta(days=1)
HERE = FULL.parent
SECRET = "postgresql://reader:hunter2@db/labels"


@pytest.fixture
def full(tmp_path: Path) -> Settings:
    """Return the full example with its secrets in place, in a folder of its own."""
    (tmp_path / "label-db").write_text(SECRET)
    return loaded(tmp_path, FULL.read_text(), {"CALSLO_DB": "sqlite:///x.db"})


def test_a_log_in_files_becomes_a_source_spec(full: Settings) -> None:
    here = full.path(".")

    assert full.source_specs(NOW)[0] == SourceSpec(
        name="ranker",
        model="search-ranker",
        paths=(str(here / "logs/*.parquet"), str(here / "more")),
        format=FileFormat.PARQUET,
        hive=False,
        columns=ColumnMap(event_time="ts", score="p"),
        slice_columns={"intent": "intent", "language": "lang"},
        time_zone="Europe/Berlin",
        time_unit=TimeUnit.MS,
        earliest=datetime(2020, 1, 1, tzinfo=UTC),
        latest=LATEST,
    )


def test_a_log_in_a_table_becomes_a_source_spec(full: Settings) -> None:
    assert full.source_specs(NOW)[1] == SourceSpec(
        name="ads",
        model="ads-ctr",
        kind=SourceKind.SQL,
        url="postgresql://reader@db.internal/log",
        table="predictions",
        slice_columns={"intent": "intent", "language": "language"},
        latest=LATEST,
    )


def test_label_feeds_carry_the_name_of_their_source(full: Settings) -> None:
    ranker, ads, play = full.label_specs(NOW)

    assert ranker == LabelSpec(
        name="ranker",
        model="search-ranker",
        kind=SourceKind.SQL,
        url=SECRET,
        table="public.labels",
        cursor="written_at",
        columns=ColumnMap(label_time="seen_at"),
        latest=LATEST,
    )
    assert (ads.name, ads.format, ads.delimiter) == ("ads", FileFormat.CSV, ";")
    assert play.paths == (str(full.home / "demo" / LABELS),)


def test_a_source_without_labels_has_no_feed(tmp_path: Path) -> None:
    settings = loaded(tmp_path, "sources:\n  - {name: a, paths: [x]}\n")

    assert settings.label_specs() == ()
    assert settings.source_specs()[0].latest is None
    assert settings.manifest_files == ()


def test_without_sources_the_demo_is_read(tmp_path: Path) -> None:
    settings = loaded(tmp_path, "")

    (spec,) = settings.source_specs(NOW)

    assert spec.paths == (str(tmp_path / ".calslo" / "demo" / EVENTS),)
    assert settings.manifest_files == (tmp_path / ".calslo" / "demo" / MANIFESTS,)
    assert settings.demo_spec(NOW).end == datetime(2026, 3, 2, tzinfo=UTC)


def test_the_demo_is_as_large_as_the_file_says(full: Settings) -> None:
    spec = full.demo_spec(datetime(2027, 1, 1, tzinfo=UTC))

    assert (spec.seed, spec.days, spec.events_per_day) == (3, 21, 5000)
    assert spec.end == datetime(2026, 3, 2, tzinfo=UTC)


def test_the_engine_gets_its_share_of_the_machine(full: Settings, tmp_path: Path) -> None:
    assert full.engine_settings() == EngineSettings(4, "2GB", Path("/var/tmp/calslo"))
    assert loaded(tmp_path, "").engine_settings() == EngineSettings(temp_directory=tmp_path / ".calslo" / "tmp")


def test_the_aggregate_gets_slices_and_bounds(full: Settings) -> None:
    expected = AggregateSpec(("intent", "language"), latency_limit_us=2000, clamp_low=0.001, clamp_high=0.98)

    assert full.aggregate_spec() == expected
    assert full.aggregate_spec(("country",)).slice_columns == ("country",)


def test_a_slice_column_that_the_engine_needs_for_itself_is_refused(tmp_path: Path) -> None:
    settings = loaded(tmp_path, "home: x\nslices: {columns: [version]}\n")

    with pytest.raises(SettingsError, match=r"calslo\.yaml:2: slices\.columns: 'version' cannot name a slice column"):
        settings.aggregate_spec()


def test_exclusions_are_one_per_pattern(full: Settings) -> None:
    span = Window(datetime(2026, 3, 1, 2, tzinfo=UTC), datetime(2026, 3, 1, 5, tzinfo=UTC))

    assert full.agreed_exclusions() == tuple(
        Exclusion(span, "label backfill", "risk-ml-lead", slos=pattern, slices="language=en")
        for pattern in ("ece_bound", "clamp_*")
    )


def test_own_tiers_replace_the_built_in_ones(full: Settings, tmp_path: Path) -> None:
    hours = [timedelta(hours=h) for h in (6, 1, 48, 6)]

    assert loaded(tmp_path, "").burn_tiers() == TIERS
    assert full.burn_tiers() == (
        Tier("page", Fraction(1, 50), hours[0], hours[1]),
        Tier("ticket", Fraction(1, 10), hours[2], hours[3]),
    )


def test_a_secret_that_is_not_there_is_told_with_its_line_when_it_is_needed(tmp_path: Path) -> None:
    text = "store_url: env:CALSLO_DB\nsources:\n  - {name: a, kind: sql, url: 'file:absent', table: t}\n"
    settings = loaded(tmp_path, text)

    with pytest.raises(SettingsError, match=r"calslo\.yaml:1: store_url: env:CALSLO_DB: .* is not set"):
        _ = settings.store_url
    with pytest.raises(SettingsError, match=r"calslo\.yaml:3: sources\[0\]\.url: file:absent: .* cannot be read"):
        settings.source_specs()
    assert [note.partition(": ")[2].partition(":")[0] for note in settings.missing_secrets()] == [
        "store_url", "sources[0].url",
    ]  # fmt: skip


def test_every_secret_of_the_full_example_is_looked_for(tmp_path: Path) -> None:
    settings = load_settings(FULL, {})

    assert len(settings.missing_secrets()) == 3
