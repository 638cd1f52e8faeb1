"""Constants of the ECE bound that promise nothing: sampling noise alone breaches it, or hardly any model does."""

from typing import Final

LEAST_C: Final = 0.6
# Here the bound at 4,000 labelled events, from which on K is 15, is that of 0.7 at the least events that are judged.
MOST_C: Final = 3.0
UNUSABLE: Final = 0.18
# Settings are read before numpy is loaded, so this is no import.
BINS: Final = 15
# Share of windows past c * sqrt(K / N) at K = 15 with all scores near 0.5, from four million simulated windows.
_FALSE_BREACHES: Final = (
    (0.25, "98 of 100"),
    (0.3, "90 of 100"),
    (0.35, "72 of 100"),
    (0.4, "47 of 100"),
    (0.45, "24 of 100"),
    (0.5, "10 of 100"),
    (0.55, "3 of 100"),
    (LEAST_C, "8 of 1,000"),
)


def constant_warning(c: float) -> str:
    """Return what a constant of the ECE bound is too small or too large for; nothing if it is neither."""
    if c > MOST_C:
        events = round(BINS * (c / UNUSABLE) * (c / UNUSABLE), -3)
        return (
            f"{c:g} is so large that with fewer than {events:,.0f} labelled events in a window only an unusable model, "
            f"with an error above {UNUSABLE:g}, breaches ece_bound; leave it out for 0.7, or write at most {MOST_C:g}"
        )
    return "" if c >= LEAST_C else _noise_warning(c)


def _noise_warning(c: float) -> str:
    share = next(share for step, share in _FALSE_BREACHES if c < step)
    return (
        f"{c:g} is so small that a perfectly calibrated model with scores near 0.5 breaches ece_bound in more than "
        f"{share} windows; leave it out for 0.7, or write at least {LEAST_C:g}"
    )
