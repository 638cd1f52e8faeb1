"""Hypothesis strategies for batches of events, with the scores, labels and weights that break estimators.

`steady` makes a property test repeatable: no random seed, no example database, no deadline on a busy machine.
"""

from hypothesis import settings
from hypothesis import strategies as st

from calslo_dagster_tests.builders import Event

steady = settings(derandomize=True, database=None, deadline=None, max_examples=60)

# Bounds of equal-width bins, and of octaves with their mirror images.
_OCTAVES = [2.0**-k for k in range(1, 18)]
EDGES = tuple(sorted({*(k / 60 for k in range(61)), *_OCTAVES, *(1 - edge for edge in _OCTAVES)}))
ODD_SCORES = (0.0, -0.0, 5e-324, 2.0**-53, 0.5, 1.0 - 2.0**-53, 1.0)

scores = st.one_of(
    st.sampled_from(EDGES),
    st.sampled_from(ODD_SCORES),
    st.integers(0, 1000).map(lambda k: k / 1000),
    st.floats(0.0, 1.0, allow_nan=False),
)
labels = st.sampled_from([0, 1])
weights = st.one_of(st.none(), st.integers(0, 5).map(float), st.floats(0.001, 50.0))
latencies = st.one_of(st.none(), st.floats(0.0, 1e7), st.sampled_from([0.0, 1.0, 999.99, 1000.0, -1.0, float("nan")]))
versions = st.sampled_from(["", "v1", "v2"])
bad_scores = st.sampled_from([None, float("nan"), float("inf"), -float("inf"), -1e-9, 1.0000001])

good_events = st.builds(
    Event,
    score=scores,
    label=st.one_of(labels, st.none(), st.just(float("nan"))),
    weight=weights,
    latency_us=latencies,
    clamped=st.one_of(st.none(), st.booleans()),
    alpha=st.one_of(st.none(), st.sampled_from([0.0, 0.1, 0.25, float("nan")])),
    version=versions,
    mask_id=st.one_of(st.none(), st.sampled_from(["m1", "m2"])),
)
labeled_events = st.builds(Event, score=scores, label=labels)
weighted_events = st.builds(Event, score=scores, label=labels, weight=st.floats(0.01, 50.0))
rejected_events = st.one_of(
    st.builds(Event, score=bad_scores, label=labels),
    st.builds(Event, score=scores, label=st.sampled_from([-1, 2, 0.5])),
    st.builds(Event, score=scores, label=labels, weight=st.sampled_from([-1.0, float("nan"), float("inf"), 10_000.5])),
)

events = st.lists(st.one_of(good_events, rejected_events), max_size=40)
good_batches = st.lists(good_events, max_size=40)
labeled_batches = st.lists(labeled_events, min_size=1, max_size=60)
weighted_batches = st.lists(weighted_events, min_size=1, max_size=60)
