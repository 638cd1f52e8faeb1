"""Constants and limits of the ECE that promise nothing: noise alone breaches them, or hardly any model does.

What no data are needed for: the worst case, scores near 0.5, for which noise is largest. How it is on the scores that
there are, `calslo_dagster.slo.certificate` says; both go by one rule, one false breach a slice and quarter of a year.
"""

import math
from typing import Final

# Here a calibrated model makes one false breach in four months or fewer, whatever its scores and the number of bins.
LEAST_C: Final = 0.7
# With so little, every second window of a calibrated model is past the bound, unless it is about rarer events.
NOISE_C: Final = 0.1
RAREST: Final = "16 of 1,000"
# Here the bound at 4,000 labelled events, from which on K is 15, is that of 0.7 at the least events that are judged.
MOST_C: Final = 3.0
UNUSABLE: Final = 0.18
# With more events than this in a window, no constant of more than 46 shows an unusable model.
MOST_EVENTS: Final = 1_000_000
# Settings are read before numpy is loaded, so this is no import.
BINS: Final = 15
# Constant, share of windows past c * sqrt(K / N), and breaches that begin in 30 days where most windows keep the bound:
# looked at each 15 minutes over 24 hours, at K = 15, with all scores near 0.5. By `stats.tails` and `stats.crossings`.
FALSE_BREACHES: Final = (
    (0.25, "98 of 100", 0.0),
    (0.3, "90 of 100", 0.0),
    (0.35, "72 of 100", 0.0),
    (0.4, "47 of 100", 0.0),
    (0.45, "24 of 100", 58.0),
    (0.5, "10 of 100", 32.0),
    (0.55, "3 of 100", 13.0),
    (0.6, "8 of 1,000", 4.0),
    (0.65, "1 of 1,000", 0.9),
    (LEAST_C, "2 of 10,000", 0.18),
)


def constant_mistake(c: float) -> str:
    """Return why a constant of the ECE bound is of no use to any model; nothing if it may be to some."""
    if c <= 0:
        return ""
    if c < NOISE_C:
        return (
            f"{c:g} is noise: every second window of a perfectly calibrated model breaches ece_bound, unless fewer "
            f"than {RAREST} events come true; leave it out for {LEAST_C:g}"
        )
    most = UNUSABLE * math.sqrt(MOST_EVENTS / BINS)
    if c > most:
        return (
            f"{c:g} can never fire: not with {MOST_EVENTS:,} labelled events in a window would an error of "
            f"{UNUSABLE:g} breach ece_bound; leave it out for {LEAST_C:g}, or write at most {MOST_C:g}"
        )
    return ""


def constant_warning(c: float) -> str:
    """Return what a constant of the ECE bound is too small or too large for; nothing if it is neither."""
    if c > MOST_C:
        events = round(BINS * (c / UNUSABLE) * (c / UNUSABLE), -3)
        return (
            f"{c:g} is so large that with fewer than {events:,.0f} labelled events in a window only an unusable model, "
            f"with an error above {UNUSABLE:g}, breaches ece_bound; leave it out for 0.7, or write at most {MOST_C:g}"
        )
    return "" if c >= LEAST_C else _noise_warning(c)


def limit_warning(limit: float, min_events: int) -> str:
    """Return from how many events on a fixed limit of the ECE is no noise, if `min_events` lets fewer be judged."""
    if limit <= 0 or limit >= LEAST_C * math.sqrt(BINS / max(min_events, 1)):
        return ""
    least = math.ceil(BINS * (LEAST_C / limit) ** 2 / 100) * 100
    return (
        f"{limit:g} is below what chance alone does with {min_events:,} labelled events, from which on windows are "
        f"judged: a perfectly calibrated model with scores near 0.5 would breach it; write min_events: {least}, or ask "
        "`calslo slos certify` what your own scores allow"
    )


def _noise_warning(c: float) -> str:
    _, share, breaches = next(one for one in FALSE_BREACHES if c < one[0])
    begun = f", some {breaches:g} breaches a slice and month or more" if breaches else ""
    return (
        f"{c:g} is so small that a perfectly calibrated model with scores near 0.5 breaches ece_bound in more than "
        f"{share} windows{begun}; leave it out for {LEAST_C:g}, or ask `calslo slos certify ece_bound` how small it "
        "may be for your scores"
    )
