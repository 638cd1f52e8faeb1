"""The life of alerts and incidents: one picture in, one change out.

The change is empty when the same picture is seen again, so that a tick that is repeated does no harm.
"""

from calslo_dagster.alerting.alerts import observe
from calslo_dagster.alerting.escalation import escalate
from calslo_dagster.alerting.incidents import follow, gather
from calslo_dagster.alerting.picture import Change, Draft, Picture
from calslo_dagster.alerting.rules import Rules


def advance(picture: Picture, rules: Rules) -> Change:
    """Return all that follows from what is seen now."""
    draft = Draft(picture)
    for stage in (_observe, gather, follow, escalate):
        stage(draft, rules)
    return draft.change


def _observe(draft: Draft, _rules: Rules) -> None:
    observe(draft)
