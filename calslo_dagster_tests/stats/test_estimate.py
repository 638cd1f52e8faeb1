"""An estimate without a value says why."""

from calslo_dagster.stats.estimate import Estimate


def test_a_missing_estimate_has_a_reason_and_no_number() -> None:
    missing = Estimate.missing("no labelled events", events=3)

    assert not missing.is_measured
    assert (missing.value, missing.low, missing.high, missing.standard_error) == (None, None, None, None)
    assert (missing.reason, missing.events) == ("no labelled events", 3)


def test_zero_is_a_measured_value() -> None:
    assert Estimate(0.0, events=1).is_measured
