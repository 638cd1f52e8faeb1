"""The words of an announcement."""

from calslo_dagster.alerting.announce import Announcement, Breach, Occasion


def text(announcement: Announcement) -> str:
    """Return one line: what happened to which promise, where, since when and how bad."""
    breach = announcement.breach
    model = f" ({breach.model})" if breach.model not in ("", "*") else ""
    where = f"{breach.slo} for {breach.slice}{model}"
    if announcement.occasion is Occasion.STARTED:
        return f"Breach of {where} since {breach.onset:%Y-%m-%d %H:%M} UTC: {breach.reason}"
    if announcement.occasion is Occasion.RETRACTED:
        return f"Breach of {where} since {breach.onset:%Y-%m-%d %H:%M} UTC is taken back by later data"
    ended = f"{breach.recovered_at:%Y-%m-%d %H:%M} UTC after {_lasted(breach)}"
    return f"Breach of {where} ended {ended}; peak {_peak(breach)}"


def _lasted(breach: Breach) -> str:
    if breach.recovered_at is None:
        return "an unknown time"
    minutes = int((breach.recovered_at - breach.onset).total_seconds() // 60)
    return f"{minutes // 60} h {minutes % 60:02d} min"


def _peak(breach: Breach) -> str:
    if breach.peak_value is None:
        return "not measured"
    limit = "" if breach.threshold is None else f" against {breach.threshold:.4g}"
    return f"{breach.peak_value:.4g}{limit}"
