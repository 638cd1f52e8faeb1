"""A frame that crosses the border is as its schema says, or one error tells what is wrong with it."""

from typing import Any

import pandas as pd
import pytest

from calslo_dagster.errors import SourceError, StoreError
from calslo_dagster.slo.model import Manifest
from calslo_dagster.store import manifests
from calslo_dagster.store.schemas import LABELS, validate
from calslo_dagster.store.session import Store

MANIFEST = Manifest(
    version="v7",
    model="intent",
    slice="intent=refund",
    alpha=0.05,
    bins=3,
    c_hat=0.61,
    edges=(0.0, 0.25, 0.75, 1.0),
    fit_counts=(10, 0, 7),
    mask_id="mask-1",
)


def test_manifests_come_back_as_they_were_and_a_second_put_overwrites(store: Store) -> None:
    bare = Manifest("v1", "intent")
    with store.write() as session:
        manifests.put(session, [MANIFEST, bare])
        manifests.put(session, [Manifest("v1", "intent", alpha=0.5), Manifest("v1", "other")])

    with store.read() as session:
        assert manifests.every(session, "intent") == (Manifest("v1", "intent", alpha=0.5), MANIFEST)
        assert len(manifests.every(session)) == 3


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"edges": (0.0, 0.5, 0.5, 1.0)}, "edges must be a list that ascends from 0 to 1"),
        ({"edges": (0.1, 0.5, 0.6, 1.0)}, "edges must be a list that ascends from 0 to 1"),
        ({"fit_counts": (1, -1, 2)}, "fit_counts must be a list of counts from 0"),
        ({"fit_counts": (1,)}, "each row must be one with a fit count for each bin"),
        ({"c_hat": 0.0}, "c_hat must be above 0 or None"),
        ({"alpha": float("nan")}, "alpha must be a finite number or None, not nan at model=intent"),
        ({"bins": 0}, "bins must be a whole number from 1 or None, not 0"),
    ],
)
def test_a_manifest_that_cannot_be_is_refused(store: Store, changes: dict[str, Any], complaint: str) -> None:
    fields = {name: getattr(MANIFEST, name) for name in Manifest.__dataclass_fields__}

    with pytest.raises(StoreError) as refused, store.write() as session:
        manifests.put(session, [Manifest(**{**fields, **changes})])

    assert complaint in str(refused.value)


def test_labels_of_a_feed_are_zero_or_one_and_name_their_prediction() -> None:
    good = pd.DataFrame({"prediction_id": ["a", "b"], "label": [0, 1], "label_us": [1, 2]})
    bad = pd.DataFrame({"prediction_id": ["a", None, ""], "label": [0.5, None, 1]})

    assert validate(good, LABELS) is not None
    with pytest.raises(SourceError) as refused:
        validate(bad, LABELS, SourceError)

    assert str(refused.value) == (
        "label feed: prediction_id must be text of 1 to 1000 characters, not nan at row 1, '' at row 2; "
        "label must be 0 or 1, not np.float64(0.5) at row 0, np.float64(nan) at row 1"
    )


def test_missing_columns_are_named_and_nothing_else() -> None:
    with pytest.raises(StoreError) as refused:
        validate(pd.DataFrame({"prediction_id": [""]}), LABELS)

    assert str(refused.value) == "label feed: no column label"
