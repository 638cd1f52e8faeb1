"""`calslo route` says who would be told, before anybody is."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from calslo_dagster_tests.cli.running import run
from calslo_dagster_tests.pipeline.incident_room import Room, room_at

ALERTING = """\
  routes: [{match: ['slo=~"p99_.*"'], policy: latency}]
  policies:
    default: [{notify: [log]}]
    latency: [{wait: 5m, notify: [log]}, {wait: 30m, repeat: 2}]
"""


@pytest.fixture(autouse=True)
def room(tmp_path: Path) -> Iterator[Room]:
    found = room_at(tmp_path, alerting=ALERTING)
    with found.project.store:
        yield found


def test_a_route_is_explained_with_the_times_of_its_steps() -> None:
    done = run("route", "--explain", "slo=p99_latency", "intent=buy")

    said = " ".join(done.stdout.split())
    assert done.exit_code == 0
    assert 'Policy latency: route 1 (slo=~"p99_.*") names policy latency' in said
    assert "tell log while unacked" in said
    assert "35 min" in said
    assert "start over, 2 times at most" in said
    assert "Told again while it goes on: every 4 h as a digest" in said
    assert "Held back now: by nothing" in said


def test_what_would_keep_it_back_is_told() -> None:
    run("silence", "add", "intent=buy", "--for", "1h", "--reason", "known", CALSLO_USER="ada")

    done = run("route", "--explain", "slo=ece_bound", "intent=buy")

    assert "Held back now: silence 1 by ada: known\n" in done.stdout
    assert "Would be muted by bad scores: while an alert with " in done.stdout


def test_without_labels_the_routes_and_policies_are_listed() -> None:
    said = " ".join(run("route").stdout.split())

    assert '1 slo=~"p99_.*" latency' in said
    assert "all others default" in said
    assert "latency 5 min tell log while unacked" in said
    assert "Fall-back: log" in said


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("slo=ece_bound",), "labels are for --explain"),
        (("--explain", "slo"), "'slo' is no label; write LABEL=VALUE, such as slo=ece_bound"),
        (("--explain", "slo=ece_bond"), "did you mean 'ece_bound'?"),
        (("--explain", "sol=ece_bound"), "no label is named 'sol'; did you mean 'slo'?"),
    ],
)
def test_labels_that_no_alert_has_are_refused(arguments: tuple[str, ...], says: str) -> None:
    done = run("route", *arguments)

    assert (done.exit_code, done.stdout) == (2, "")
    assert says in done.stderr
