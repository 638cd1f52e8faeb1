"""Rows of the log and of the label feed."""

from datetime import timedelta
from uuid import UUID

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from calslo_dagster.slo.windows import DAY
from calslo_dagster.sources.demo.script import HOUR, Script
from calslo_dagster.sources.demo.tables import LABEL_SCHEMA, LOG_SCHEMA, label_rows, log_rows
from calslo_dagster.sources.demo.traffic import microseconds


@pytest.fixture(scope="module")
def day_of_log(script: Script) -> pa.Table:
    noon = script.spec.start + DAY
    return pa.concat_tables([log_rows(script, noon + i * HOUR) for i in range(25)])


def test_log_and_feed_have_their_schemas(script: Script) -> None:
    assert log_rows(script, script.spec.start).schema == LOG_SCHEMA
    assert label_rows(script, script.spec.start).schema == LABEL_SCHEMA


def test_prediction_ids_are_uuids_that_sort_by_time(script: Script) -> None:
    rows = log_rows(script, script.spec.start)
    ids, times = rows["prediction_id"].to_pylist(), rows["event_time"].to_pylist()

    assert {UUID(text).version for text in ids} == {7}
    assert [UUID(text).int >> 80 for text in ids] == [microseconds(time) // 1000 for time in times]


def test_only_retried_rows_share_an_id_and_they_are_exact_copies(day_of_log: pa.Table) -> None:
    seen: dict[str, dict[str, object]] = {}
    copies = 0
    for row in day_of_log.to_pylist():
        first = seen.setdefault(row["prediction_id"], row)
        assert first == row
        copies += first is not row

    assert 5 < copies < 100


def test_late_rows_stand_in_the_file_of_the_next_hour(script: Script) -> None:
    hour = script.spec.start + 30 * HOUR
    times = log_rows(script, hour)["event_time"]
    late = pc.sum(pc.less(times, pa.scalar(hour))).as_py()

    assert 0 < late < 0.02 * len(times)
    assert pc.min(times).as_py() >= hour - HOUR
    assert pc.max(times).as_py() < hour + HOUR


def test_a_partial_hour_is_the_beginning_of_the_whole_one(script: Script) -> None:
    hour = script.spec.start + 30 * HOUR
    whole, part = log_rows(script, hour), log_rows(script, hour, hour + timedelta(minutes=17))

    assert 0 < len(part) < len(whole)
    assert part == whole.slice(0, len(part))
    assert pc.max(part["event_time"]).as_py() < hour + timedelta(minutes=17)


def test_every_label_of_the_feed_belongs_to_one_unlabelled_prediction(script: Script, day_of_log: pa.Table) -> None:
    day = script.spec.start + DAY
    feed = label_rows(script, day)
    pending = pc.filter(day_of_log["prediction_id"], pc.is_null(day_of_log["label"]))
    today = feed.filter(pc.greater_equal(feed["event_time"], pa.scalar(day)))

    assert len(set(feed["prediction_id"].to_pylist())) == len(feed)
    assert set(today["prediction_id"].to_pylist()) <= set(pending.to_pylist())
    assert set(pc.unique(feed["label"]).to_pylist()) == {0, 1}


def test_labels_are_known_on_their_day_and_after_their_event(script: Script) -> None:
    day = script.spec.start + 3 * DAY
    feed = label_rows(script, day)
    known, happened = (feed[name].cast(pa.int64()).to_numpy() for name in ("label_time", "event_time"))

    assert np.all(np.diff(known) >= 0)
    assert microseconds(day) <= known[0] <= known[-1] < microseconds(day + DAY)
    assert np.all(known > happened)
    assert np.any(happened < microseconds(day))


def test_two_days_of_feed_label_a_third_of_the_first(script: Script, day_of_log: pa.Table) -> None:
    day = script.spec.start + DAY
    feed = pa.concat_tables([label_rows(script, day), label_rows(script, day + DAY)])
    known = set(feed["prediction_id"].to_pylist())
    times = day_of_log["event_time"]
    ids = day_of_log.filter(pc.and_(pc.greater_equal(times, pa.scalar(day)), pc.less(times, pa.scalar(day + DAY))))
    labelled = sum(text in known for text in ids["prediction_id"].to_pylist())

    assert labelled / len(ids) == pytest.approx(0.35, abs=0.01)
    assert ids["label"].null_count / len(ids) == pytest.approx(0.70, abs=0.01)
