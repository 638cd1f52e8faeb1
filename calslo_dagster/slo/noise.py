"""How often the ECE bound breaches a model that is calibrated perfectly: sampling noise alone."""

from typing import Final

LEAST_C: Final = 0.6
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


def noise_warning(c: float) -> str:
    """Return what a constant of the ECE bound is too small for; nothing if it is not."""
    if c >= LEAST_C:
        return ""
    share = next(share for step, share in _FALSE_BREACHES if c < step)
    return (
        f"{c:g} is so small that a perfectly calibrated model with scores near 0.5 breaches ece_bound in more than "
        f"{share} windows; leave it out for 0.7, or write at least {LEAST_C:g}"
    )
