"""Parameters are documented and refuse what they do not know, all at once."""

from dataclasses import dataclass
from typing import Any

import pytest

from calslo_dagster.errors import SettingsError
from calslo_dagster.slo.parameters import Parameter, described, filled, parameter


@dataclass(frozen=True, slots=True)
class Sizes:
    """Parameters of a sample."""

    floor: float = parameter("The limit never falls below this.", default=0.015)
    bins: int = parameter("Number of bins.", default=15)
    strict: bool = parameter("Whether to be strict.", default=False)

    def __post_init__(self) -> None:
        """Refuse a number of bins that is no number of bins."""
        if self.bins < 1:
            raise ValueError(f"bins is at least 1, not {self.bins}")


def test_parameters_describe_themselves() -> None:
    first, *_ = described(Sizes)

    assert first == Parameter("floor", "float", 0.015, "The limit never falls below this.")


def test_values_that_are_given_replace_defaults() -> None:
    assert filled(Sizes, {"bins": 10}, owner="sample") == Sizes(bins=10)
    assert filled(Sizes, {"floor": 1}, owner="sample").floor == 1


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"flor": 0.1}, "no parameter of sample is named 'flor'; did you mean 'floor'?"),
        ({"xyz": 0.1}, "no parameter of sample is named 'xyz'; there is floor, bins, strict."),
        ({"bins": 1.5}, "sample.bins is a int, not 1.5"),
        ({"floor": "0.1"}, "sample.floor is a float, not '0.1'"),
        ({"bins": True}, "sample.bins is a int, not True"),
        ({"strict": 1}, "sample.strict is a bool, not 1"),
        ({"bins": 0}, "sample: bins is at least 1, not 0"),
    ],
)
def test_a_mistake_is_named_with_its_remedy(values: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError) as error:
        filled(Sizes, values, owner="sample")

    assert str(error.value) == message


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(SettingsError) as error:
        filled(Sizes, {"flor": 0.1, "bins": "x"}, owner="sample")

    assert len(str(error.value).splitlines()) == 2
