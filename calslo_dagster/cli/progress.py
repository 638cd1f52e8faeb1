"""Progress on work that takes a while: a bar on standard error, and nothing at all where no one watches."""

import sys
from collections.abc import Iterable
from typing import Final, TypeVar

from tqdm import tqdm

Item = TypeVar("Item")
# Work that is done sooner needs no bar.
SHOWN_AFTER_SECONDS: Final = 2


def progress(items: Iterable[Item], unit: str = "run") -> Iterable[Item]:
    """Return the items; how far their consumer has come is shown after two seconds, if standard error is a terminal."""
    return tqdm(items, unit=unit, delay=SHOWN_AFTER_SECONDS, disable=not sys.stderr.isatty(), leave=False)
