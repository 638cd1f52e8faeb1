"""Steps that several estimators of one snapshot share, taken once per snapshot."""

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

from calslo_dagster.stats.snapshot import Snapshot

_P = ParamSpec("_P")
_T = TypeVar("_T")


def remembered(step: Callable[Concatenate[Snapshot, _P], _T]) -> Callable[Concatenate[Snapshot, _P], _T]:
    """Return the function that keeps what `step` finds with the snapshot, for each set of further arguments.

    For small results of pure functions: they live as long as the snapshot does.
    """

    @wraps(step)
    def once(snapshot: Snapshot, /, *args: _P.args, **options: _P.kwargs) -> _T:
        key = step, args, tuple(options.items())
        if key not in snapshot.derived:
            snapshot.derived[key] = step(snapshot, *args, **options)
        found: _T = snapshot.derived[key]
        return found

    return once
