"""Every alert leads to its runbook, wherever the package is installed."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from calslo_dagster.alerting.model import Kind
from calslo_dagster.errors import CalsloError
from calslo_dagster.pipeline.find_runbook import runbook_names, runbook_of, runbook_path, runbook_url
from calslo_dagster.plugins import load_registry
from calslo_dagster.slo.model import SLO
from calslo_dagster.slo.registry import recipes
from calslo_dagster_tests.architecture.pages import ROOT
from calslo_dagster_tests.settings.files import loaded

BASE = "alerting: {runbook_url: 'https://wiki.test/books'}\n"
OWN = "slos: {ece_bound: {runbook: 'https://own.test/ece'}}\n"


def url(folder: Path, text: str, kind: Kind, slo: str = "ece_bound") -> str:
    settings = loaded(folder, text)
    registry = load_registry(settings)
    known: SLO | None = registry.find(slo) if slo in registry else None
    return runbook_url(settings, kind, known, runbook_of(kind, slo))


def test_there_is_one_for_every_slo_and_kind() -> None:
    for name in recipes():
        assert runbook_path(runbook_of("breach", name)).read_text(encoding="utf-8").startswith(f"# {name}: ")
    for kind in (Kind.BLIND, Kind.BURN, Kind.PIPELINE):
        assert runbook_of(kind, "ece_bound") == kind
    assert runbook_of("breach", "mine") == ""


def test_an_unknown_one_is_answered_with_the_nearest() -> None:
    with pytest.raises(CalsloError, match="no runbook is named 'pipelin'; did you mean 'pipeline'"):
        runbook_path("pipelin")


@pytest.mark.parametrize(
    ("text", "kind", "expected"),
    [
        ("", Kind.BREACH, ""),
        (BASE, Kind.BREACH, "https://wiki.test/books/ece_bound.md"),
        (BASE, Kind.BLIND, "https://wiki.test/books/blind.md"),
        ("alerting: {runbook_url: 'https://wiki.test/{name}/now'}\n", Kind.BURN, "https://wiki.test/burn/now"),
        (OWN, Kind.BREACH, "https://own.test/ece"),
        (OWN, Kind.BURN, "https://own.test/ece"),
        (OWN + BASE, Kind.BREACH, "https://own.test/ece"),
        (OWN + BASE, Kind.BURN, "https://wiki.test/books/burn.md"),
    ],
)
def test_the_address_is_the_slos_own_or_that_of_the_copy(tmp_path: Path, text: str, kind: Kind, expected: str) -> None:
    assert url(tmp_path, text, kind) == expected


def test_an_slo_without_a_page_has_no_address(tmp_path: Path) -> None:
    assert url(tmp_path, BASE, Kind.BREACH, "mine") == ""


def test_an_installed_package_has_them_without_a_checkout(tmp_path: Path) -> None:
    source = tmp_path / "source"
    shutil.copytree(ROOT / "calslo_dagster", source / "calslo_dagster", symlinks=True)
    shutil.copytree(ROOT / "docs" / "runbooks", source / "docs" / "runbooks")
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, source)
    build = "import sys; from setuptools.build_meta import build_wheel; build_wheel(sys.argv[1])"
    subprocess.run([sys.executable, "-c", build, str(tmp_path)], cwd=source, check=True, capture_output=True)
    [wheel] = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "installed")

    command = "from calslo_dagster.pipeline import find_runbook as f; print(f.FOLDER, *f.runbook_names())"
    environ = os.environ | {"PYTHONPATH": str(tmp_path / "installed")}
    run = [sys.executable, "-c", command]
    done = subprocess.run(run, cwd=tmp_path, env=environ, check=True, capture_output=True, text=True)

    folder, *names = done.stdout.split()
    assert folder == str(tmp_path / "installed" / "calslo_dagster" / "runbooks")
    assert tuple(names) == runbook_names()
