"""Worlds with one rule less each, of those about what gets worse, what is told anew, and what passed unseen."""

from dataclasses import replace

from calslo_dagster.alerting.escalation import renew
from calslo_dagster.alerting.lifecycle import advance
from calslo_dagster.alerting.model import Incident, Severity
from calslo_dagster.alerting.picture import Change, Draft, Picture
from calslo_dagster.alerting.rules import Rules
from calslo_dagster_tests.alerting import model_deeds as deeds
from calslo_dagster_tests.alerting.model_faults import BEGIN, OPEN_OVER_THERE, PRODUCT, TRY, Fault
from calslo_dagster_tests.alerting.model_world import ModelWorld


def _renewed(draft: Draft, _rules: Rules, incident: Incident) -> None:
    renew(draft, incident)


def _worse_than_ever(incident: Incident, severity: Severity) -> bool:
    return severity.rank > incident.peak_severity.rank


def _as_if_it_were_now(picture: Picture, rules: Rules) -> Change:
    return advance(replace(picture, is_past=False), rules)


class WithOnePage(ModelWorld):
    """What is told anew joins what PagerDuty has already, where somebody may have acknowledged it."""

    def page(self, incident_id: str) -> int:
        return 1


RISE_FAULTS = (
    Fault(
        "what gets worse goes by the policy for what is worse",
        ("whoever is to be told is told in the end",),
        broken={f"{PRODUCT}.incidents.restart": _renewed},
        often=(BEGIN,),
    ),
    Fault(
        "a step is left out only while it is too mild for it",
        ("whoever was left out is told once it is bad enough",),
        broken={f"{PRODUCT}.escalation._is_owed": lambda _incident, _escalation: False},
        often=(BEGIN, deeds.time_passes),
    ),
    Fault(
        "getting worse than when it was taken on ends an acknowledgement",
        ("getting worse ends an acknowledgement",),
        broken={f"{PRODUCT}.incidents.is_rise": _worse_than_ever},
        often=(BEGIN, deeds.somebody_acknowledges),
    ),
    Fault(
        "of what passed while nothing ran only the first step is taken",
        ("a standstill pages nobody again",),
        broken={"calslo_dagster_tests.alerting.model_world.advance": _as_if_it_were_now},
        often=(deeds.nothing_runs_for_a_while,),
    ),
    Fault(
        "PagerDuty is told anew under a key of its own",
        ("PagerDuty wakes whoever has to be woken anew",),
        WithOnePage,
        often=(BEGIN, TRY),
    ),
    Fault(
        "the key of a page is its own",
        ("one PagerDuty incident per page",),
        broken={f"{PRODUCT}.pager_keys.key_of": lambda dedup_key, _page: dedup_key},
        often=(BEGIN, TRY),
    ),
    Fault(
        "a page takes the place of the one before",
        ("one PagerDuty incident per episode", *OPEN_OVER_THERE),
        broken={f"{PRODUCT}.pager_keys._replaced": lambda _page, _known: range(0)},
        often=(BEGIN, TRY),
    ),
)
