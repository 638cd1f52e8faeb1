"""Add to a message the signed link by which its reader can acknowledge, just before it leaves.

The link is made when the message goes, and kept nowhere: whoever reads the store cannot answer in somebody's name.
"""

from dataclasses import replace
from datetime import datetime
from typing import Final

from calslo_dagster.alerting.facts import Facts, Link
from calslo_dagster.alerting.links import ack_link
from calslo_dagster.alerting.model import Action, Kind
from calslo_dagster.settings import Settings

_ASKS: Final = frozenset({Action.TRIGGER, Action.UPDATE, Action.DIGEST})


def with_answer_link(settings: Settings, facts: Facts, action: Action, *, now: datetime) -> Facts:
    """Return the facts with the link, if the message asks for an answer and the settings hold a key and an address."""
    key, base = settings.alerting.link_key, settings.dashboard_url
    if key is None or base is None or action not in _ASKS or facts.kind == Kind.SILENCE:
        return facts
    secret = settings.resolve(key, ("alerting", "link_key"))
    link = Link("Acknowledge", ack_link(base, facts.incident_id, secret, now=now))
    return replace(facts, links=(link, *facts.links))
