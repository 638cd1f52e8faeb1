"""Manifests are read into the store, and one that cannot be read is refused with its file, entry and key."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from calslo_dagster.errors import SettingsError
from calslo_dagster.pipeline.feed_demo import feed_demo
from calslo_dagster.pipeline.load_manifests import load_manifests, read_manifests
from calslo_dagster.pipeline.project import Project
from calslo_dagster.slo.model import Manifest
from calslo_dagster.store import manifests
from calslo_dagster_tests.logs import LATER
from calslo_dagster_tests.pipeline.conftest import OpenProject

FULL = {
    "version": "v1",
    "model": "intent",
    "slice": "language=en",
    "alpha": 0.02,
    "bins": 2,
    "c_hat": 0.6,
    "edges": [0, 0.5, 1],
    "fit_counts": [10, 0],
    "mask_id": "m1",
    "fitted_at": "2026-03-01T12:00:00+01:00",
}


def write(folder: Path, *entries: Any, name: str = "manifests.json") -> Path:
    path = folder / name
    path.write_text(json.dumps({"manifests": list(entries)}))
    return path


def stored(project: Project) -> tuple[Manifest, ...]:
    with project.store.read() as session:
        return manifests.every(session)


@pytest.fixture
def with_manifests(tmp_path: Path, open_at: OpenProject) -> Project:
    """Return a project whose settings name a manifest file."""
    return open_at(tmp_path, extra="manifests: [manifests.json]\n")


def test_a_manifest_is_stored_as_it_was_written(with_manifests: Project, tmp_path: Path) -> None:
    write(tmp_path, FULL, {"version": "v2", "model": "intent"})

    assert load_manifests(with_manifests) == 2
    plain, full = sorted(stored(with_manifests), key=lambda manifest: manifest.version, reverse=True)
    assert plain == Manifest("v2", "intent")
    assert (full.edges, full.fit_counts, full.c_hat, full.slice) == ((0.0, 0.5, 1.0), (10, 0), 0.6, "language=en")
    assert full.fitted_at is not None
    assert full.fitted_at.isoformat() == "2026-03-01T11:00:00+00:00"


def test_loading_again_stores_only_what_changed(with_manifests: Project, tmp_path: Path) -> None:
    write(tmp_path, FULL, {"version": "v2", "model": "intent"})
    load_manifests(with_manifests)
    assert load_manifests(with_manifests) == 0
    write(tmp_path, {**FULL, "alpha": 0.5}, {"version": "v2", "model": "intent"})

    assert load_manifests(with_manifests) == 1
    assert {manifest.alpha for manifest in stored(with_manifests)} == {0.5, None}


def test_a_manifest_that_left_the_file_stays(with_manifests: Project, tmp_path: Path) -> None:
    """Events of its version are still in the snapshots."""
    write(tmp_path, FULL)
    load_manifests(with_manifests)
    write(tmp_path, {"version": "v2", "model": "intent"})
    load_manifests(with_manifests)

    assert len(stored(with_manifests)) == 2


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ("v1", "manifests[1] is 'v1'"),
        ({"model": "intent"}, "manifests[1] lacks version"),
        ({"version": "", "model": None}, "manifests[1] lacks version, model"),
        ({**FULL, "alhpa": 1}, "manifests[1] has unknown keys alhpa"),
        ({**FULL, "fit_counts": [1]}, "3 edges and 1 fit_counts"),
        ({**FULL, "edges": ["low", 0.5, 1]}, "edges"),
        ({**FULL, "edges": 3}, "edges"),
        ({**FULL, "edges": [0, 0.9, 0.5, 1], "fit_counts": [1, 2, 3]}, "edges"),
        ({**FULL, "fit_counts": [-1, 3]}, "fit_counts"),
        ({**FULL, "fitted_at": "yesterday"}, "fitted_at"),
        ({**FULL, "fitted_at": "2026-03-01T12:00:00"}, "fitted_at"),
        ({**FULL, "fitted_at": 17}, "fitted_at"),
        ({**FULL, "alpha": "a lot"}, "alpha"),
        ({**FULL, "c_hat": -1}, "c_hat"),
        ({**FULL, "bins": 1.5}, "bins"),
        ({**FULL, "alpha": [1]}, "alpha"),
        ({**FULL, "alpha": float("nan")}, "alpha"),
        ({**FULL, "fit_counts": [[1], 2]}, "fit_counts"),
        ({**FULL, "version": ["v1"]}, "version"),
        ({**FULL, "version": 3}, "version"),
        ({**FULL, "slice": None}, "slice"),
        ({**FULL, "mask_id": 7}, "mask_id"),
        (FULL, "there twice"),
    ],
)
def test_an_entry_that_cannot_be_read_is_named(with_manifests: Project, tmp_path: Path, entry: Any, told: str) -> None:
    path = write(tmp_path, {**FULL, "version": "v0"} if entry != FULL else FULL, entry)

    with pytest.raises(SettingsError) as refused:
        load_manifests(with_manifests)

    assert str(path) in str(refused.value)
    assert told in str(refused.value)
    assert stored(with_manifests) == ()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"manifests": {}}', "7", '{"manifest": []}'])
def test_a_file_that_is_no_list_of_manifests_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "manifests.json"
    path.write_text(text)

    with pytest.raises(SettingsError, match=r"manifests\.json: "):
        read_manifests(path)


def test_a_missing_file_is_named(with_manifests: Project, tmp_path: Path) -> None:
    where = re.escape(f"manifests[0]: {tmp_path / 'manifests.json'}: there is no such file; write its path")

    with pytest.raises(SettingsError, match=rf"calslo\.yaml:\d+: {where}") as refused:
        load_manifests(with_manifests)

    # A run shows its innermost cause.
    assert (refused.value.__cause__, refused.value.__context__) == (None, None)


def test_the_demo_brings_its_own_manifests_once_it_has_begun(tmp_path: Path, open_at: OpenProject) -> None:
    project = open_at(tmp_path, "home: state\ndemo: {days: 1, end: 2026-03-16, events_per_day: 1000}\n")

    assert load_manifests(project) == 0
    feed_demo(project, now=LATER.replace(day=15))
    assert load_manifests(project) > 0
    assert all(manifest.c_hat for manifest in stored(project))
