"""Each SLO has a view of its own, kept in step with the SLOs there are."""

import pytest
import sqlalchemy as sa

from calslo_dagster.store import measurements
from calslo_dagster.store.session import Store
from calslo_dagster.store.views import sync_views
from calslo_dagster_tests.store.builders import DAY, NEXT_DAY, measurement


def sync(store: Store, *names: str) -> None:
    with store.write() as session:
        sync_views(session, names)


def views(store: Store) -> list[str]:
    with store.read() as session:
        return sorted(sa.inspect(session.connection()).get_view_names())


def test_a_view_shows_the_measurements_of_its_slo(store: Store) -> None:
    with store.write() as session:
        measurements.replace(session, "ece_bound", [measurement()], start=DAY, end=NEXT_DAY)

    sync(store, "ece_bound", "score_range")

    with store.read() as session:
        (row,) = session.execute(sa.text("SELECT * FROM slo_ece_bound")).mappings()
        assert session.execute(sa.text("SELECT * FROM slo_score_range")).all() == []
    assert (row["slice"], row["value"], row["verdict"]) == ("*", 0.0123, "meeting")


def test_views_follow_the_slos_and_syncing_again_changes_nothing(store: Store) -> None:
    sync(store, "ece_bound", "score_range")
    sync(store, "ece_bound", "mine")
    sync(store, "ece_bound", "mine")

    assert views(store) == ["slo_ece_bound", "slo_mine"]


def test_a_view_that_is_right_is_not_touched(store: Store) -> None:
    """A dashboard that reads the view would otherwise block, or be blocked by, every run."""
    sync(store, "ece_bound")
    with store.write() as session:
        session.execute(sa.text("CREATE VIEW on_top AS SELECT value FROM slo_ece_bound"))

    sync(store, "ece_bound")

    assert views(store) == ["on_top", "slo_ece_bound"]


def test_a_view_with_other_columns_is_made_anew_and_views_of_others_stay(store: Store) -> None:
    with store.write() as session:
        session.execute(sa.text("CREATE VIEW slo_ece_bound AS SELECT 1 AS one"))
        session.execute(sa.text("CREATE VIEW theirs AS SELECT 1 AS one"))

    sync(store, "ece_bound")

    with store.read() as session:
        columns = [column["name"] for column in sa.inspect(session.connection()).get_columns("slo_ece_bound")]
    assert "window_end" in columns
    assert views(store) == ["slo_ece_bound", "theirs"]


@pytest.mark.parametrize("name", ["", "a b", "A", "x'; DROP TABLE measurements; --", "a" * 60, "days"])
def test_a_name_that_cannot_be_a_view_is_refused(store: Store, name: str) -> None:
    with pytest.raises(ValueError, match="SLO cannot be called 'days'" if name == "days" else "cannot name a view"):
        sync(store, name)
