"""Rows that programs send: all of a batch or nothing, every batch once, and measured like those of any log."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import httpx2
import pyarrow.parquet as pq
import pytest

from calslo_dagster.pipeline.aggregate_snapshots import aggregate_days
from calslo_dagster.pipeline.load_manifests import load_manifests
from calslo_dagster.store import measurements
from calslo_dagster.store.api_tokens import Scope
from calslo_dagster_tests.logs import HOUR, MINUTE, START, measure, project_at
from calslo_dagster_tests.web.serving import Site, serving

SETTINGS: Final = """\
home: state
history_start: 2026-01-01
evaluation_step: 1h
manifests: [manifests.json]
sources: [{name: live, kind: ingest}]
slices: {columns: [intent, model_copy, _x]}
slos: {score_range: {window: 1h}}
"""
MANIFESTS: Final = '{"manifests": [{"version": "v1", "model": "default", "edges": [0, 0.5, 1], "fit_counts": [3, 4]}]}'
NOW: Final = START + timedelta(hours=3)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    (tmp_path / "manifests.json").write_text(MANIFESTS)
    project = project_at(tmp_path, SETTINGS)
    with project.store, serving(project, NOW) as running:
        yield running


def event(n: int, **values: Any) -> dict[str, Any]:
    at = (START + n * MINUTE).isoformat()
    return {"event_time": at, "score": 0.5, "prediction_id": f"p{n}", "intent": "buy", **values}


def send(site: Site, rows: object, *, feed: str = "events", batch: str = "b1", token: str = "") -> httpx2.Response:
    body = {"source": "live", "batch_id": batch, "rows": rows}
    return site.call("POST", f"/api/v1/{feed}", token or site.secret(Scope.INGEST), body)


def files(site: Site, feed: str = "events") -> list[Path]:
    return sorted((site.project.settings.ingest_folders["live"] / feed).rglob("*.parquet"))


def wrong(answer: httpx2.Response) -> dict[str, str]:
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json"), answer.text
    return {one["pointer"]: one["detail"] for one in answer.json()["errors"]}


def test_events_and_late_labels_become_measurements(site: Site) -> None:
    rows = [event(n, score=1.5 if n == 3 else None if n == 4 else 0.5, label=0.5 if n == 5 else None) for n in range(9)]
    assert aggregate_days(site.project, [START.date()], now=NOW, recompute=False).errors == ()

    assert send(site, rows).status_code == 201
    before = aggregate_days(site.project, [START.date()], now=NOW, recompute=False)
    labels = [{"prediction_id": f"p{n}", "label": n % 2, "label_time": "2026-03-07T01:00:00Z"} for n in (0, 1)]
    assert send(site, labels, feed="labels").status_code == 201
    site.clock["now"] += MINUTE
    again = [{**labels[0], "label": 1, "label_time": None, "event_time": rows[0]["event_time"]}]
    assert send(site, again, feed="labels", batch="b2").status_code == 201
    after = aggregate_days(site.project, [START.date()], now=NOW + HOUR, recompute=False)

    [day], [labelled] = before.days, after.days
    assert (before.errors, after.errors) == ((), ())
    assert (day.count("rows"), day.count("bad_label"), day.count("labeled"), labelled.count("labels")) == (9, 1, 0, 2)
    measure(site.project, "score_range", [START.date()])
    with site.project.store.read() as session:
        found = measurements.page(session, "score_range", start=START, end=START + 2 * HOUR, slice_name="*")
    assert found[0].value == 2 / 9
    assert "1 null, 1 above 1" in found[0].reason


def test_a_batch_counts_once_however_often_it_is_sent(site: Site) -> None:
    token = site.secret(Scope.INGEST, name="worker")
    first, again = send(site, [event(1), event(2)], token=token), send(site, [event(1), event(2)], token=token)

    assert [(one.status_code, one.json()["is_new"], one.json()["rows"]) for one in (first, again)] == [
        (201, True, 2),
        (200, False, 2),
    ]
    assert first.json()["digest"] == again.json()["digest"]
    other = send(site, [event(1), event(3)], token=token)
    assert (other.status_code, "worker" in other.json()["detail"]) == (409, True)
    assert send(site, [event(1), event(2)], batch="b2", token=token).status_code == 201
    assert [pq.read_metadata(path).num_rows for path in files(site)] == [2, 2]
    with serving(site.project, NOW + HOUR) as restarted:
        assert send(restarted, [event(1, label=None), event(2)], token=token).json() == again.json()


def test_requests_at_the_same_time_keep_one_batch_and_agree(site: Site) -> None:
    token = site.secret(Scope.INGEST)
    with ThreadPoolExecutor(8) as pool:
        same = list(pool.map(lambda _: send(site, [event(1)], token=token), range(8)))
        others = list(pool.map(lambda n: send(site, [event(n)], batch="b2", token=token), range(8)))

    assert sorted(one.status_code for one in same) == [200] * 7 + [201]
    assert sorted(one.status_code for one in others) == [201] + [409] * 7
    assert len(files(site)) == 2


def test_every_mistake_is_told_at_once_and_nothing_is_kept(site: Site) -> None:
    rows = [
        event(0),
        event(1, score="high", label="yes", clamped=1, weight=True, colour="red", intent=7, mask_id="a\0"),
        {"event_time": "2026-03-07T00:00:00", "score": 0.5},
        {"event_time": "2026-03-09T00:00:00Z"},
        {"event_time": 1_772_841_600, "score": 10**400},
        "row",
        event(2, event_time="9999-12-31T23:59:59-23:59", prediction_id="x" * 201, latency_us={}),
    ]
    found = wrong(send(site, rows, batch="b\n"))

    expected = {
        "/batch_id", "/rows/1/score", "/rows/1/label", "/rows/1/clamped", "/rows/1/weight", "/rows/1/colour",
        "/rows/1/intent", "/rows/1/mask_id", "/rows/2/event_time", "/rows/3/event_time", "/rows/3/score",
        "/rows/4/event_time", "/rows/4/score", "/rows/5", "/rows/6/event_time", "/rows/6/prediction_id",
        "/rows/6/latency_us",
    }  # fmt: skip
    assert found.keys() == expected
    assert found["/rows/1/score"].startswith('"high" is no number; write')
    assert "has no time zone" in found["/rows/2/event_time"]
    assert "2000-01-01 00:00 and 2026-03-08 04:00 UTC" in found["/rows/3/event_time"]
    assert "slices.columns" in found["/rows/1/colour"]
    assert files(site) == []
    assert send(site, [event(0, model_copy="m", _x=None)], batch="b").status_code == 201


def test_bodies_that_are_no_batch_are_refused_in_words(site: Site) -> None:
    token = site.secret(Scope.INGEST)
    headers = {"Authorization": f"Bearer {token}"}
    for text in ("", "{", "[" * 100_000, "\xff", '{"rows": [' + "9" * 5_000 + "]}"):
        answer = site.client.post("/api/v1/events", content=text.encode("latin-1"), headers=headers)
        assert (answer.status_code, "JSON" in answer.json()["detail"]) == (400, True), text[:9]
    half = r'{"source": "\ud800", "batch_id": "b", "rows": [{"event_time": "\ud800", "score": NaN}, {"\ud800": 1}]}'
    answer = site.client.post("/api/v1/events", content=half.encode(), headers=headers)
    assert {"/source", "/rows/0/event_time", "/rows/0/score", "/rows/1"} == wrong(answer).keys()

    assert wrong(site.call("POST", "/api/v1/labels", token, ["x"])).keys() == {""}
    assert wrong(send(site, [], token=token)) == {"/rows": "there are no rows; send at least one"}
    assert "at most 10000" in wrong(send(site, [{}] * 10_001, token=token))["/rows"]
    assert len(wrong(send(site, [{}] * 200, token=token))) == 100
    for row, key in (
        ({"label": None}, "label"),
        ({"label": 1}, "prediction_id"),
        ({"prediction_id": ""}, "prediction_id"),
    ):
        assert f"/rows/0/{key}" in wrong(send(site, [row], feed="labels", token=token))
    assert files(site) == files(site, "labels") == []


@pytest.mark.parametrize("feed", ["events", "labels"])
def test_only_tokens_for_it_send_rows(site: Site, feed: str) -> None:
    assert site.client.post(f"/api/v1/{feed}").status_code == 401
    assert send(site, [event(1)], feed=feed, token=site.secret(Scope.READ, Scope.SLOS)).status_code == 403


def test_manifests_are_listed(site: Site) -> None:
    load_manifests(site.project)

    [found] = site.call("GET", "/api/v1/manifests?model=def*", site.secret(Scope.READ)).json()["items"]
    assert (found["version"], found["edges"], found["fit_counts"]) == ("v1", [0, 0.5, 1], [3, 4])
