"""Worlds with one rule less each, which show that the rule is needed and that the check would find it missing."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from calslo_dagster.alerting.alerts import _seen as seen
from calslo_dagster.alerting.escalation import _noted as noted
from calslo_dagster.alerting.incidents import is_rise, resolve, unacknowledged
from calslo_dagster.alerting.late import PAGES, Candidate, Fate, Ruling
from calslo_dagster.alerting.model import Action, Alert, AlertState, Incident, IncidentState, Order, Signal
from calslo_dagster.alerting.picture import Change, Draft, Picture
from calslo_dagster.alerting.rules import Rules
from calslo_dagster.alerting.silences import active_span
from calslo_dagster.alerting.suppression import Suppression
from calslo_dagster_tests.alerting import model_deeds as deeds
from calslo_dagster_tests.alerting.model_deeds import Deed, Make
from calslo_dagster_tests.alerting.model_outbox import Held, Outbox, Row
from calslo_dagster_tests.alerting.model_world import ModelWorld

PRODUCT = "calslo_dagster.alerting"


class WithoutOrder(Outbox):
    """Messages overtake each other."""

    def is_behind(self, row: Row) -> bool:
        return False


class WithoutMemory(Outbox):
    """What is ordered twice is there twice."""

    def is_known(self, row: Row, queue: Sequence[Row]) -> bool:
        return False


class WithoutEnd(Outbox):
    """What it is too late for stays, and all behind it waits."""

    def expire(self, now: datetime) -> None:
        return


class WithoutFence(Outbox):
    """Whoever was given up for dead still has a say."""

    def is_ours(self, held: Held) -> bool:
        return True


class TellsWhatIsOver(ModelWorld):
    """Pages go out although their incident is resolved."""

    def ruling(self, found: Candidate, incident: Incident, suppression: Suppression | None) -> Ruling:
        is_page = found.action is not Action.RESOLVE and not incident.is_open
        return Ruling(Fate.SEND) if is_page else super().ruling(found, incident, suppression)


class PagesWhatIsAcknowledged(ModelWorld):
    """Pages go out although somebody has their incident."""

    def ruling(self, found: Candidate, incident: Incident, suppression: Suppression | None) -> Ruling:
        return super().ruling(found, replace(incident, acked_at=None), suppression)


class PagesWhatIsSilenced(ModelWorld):
    """Pages that were ordered before a silence go out under it."""

    def ruling(self, found: Candidate, incident: Incident, suppression: Suppression | None) -> Ruling:
        return super().ruling(found, incident, None)


class PagesWhatIsWell(ModelWorld):
    """Pages go out although nothing fires."""

    def ruling(self, found: Candidate, incident: Incident, suppression: Suppression | None) -> Ruling:
        return super().ruling(found, replace(incident, clear_since=None), suppression)


class PagesForEachRound(ModelWorld):
    """A channel that was down receives the page of every round that it has missed."""

    def ruling(self, found: Candidate, incident: Incident, suppression: Suppression | None) -> Ruling:
        return super().ruling(replace(found, newer=None), incident, suppression)


class TellsTheEndToAll(ModelWorld):
    """An end goes out to whoever was to be told of the beginning."""

    def ruling(self, found: Candidate, incident: Incident, suppression: Suppression | None) -> Ruling:
        return super().ruling(replace(found, was_told=True), incident, suppression)


class HoldsEndsBack(ModelWorld):
    """An end waits for the end of a silence."""

    def ruling(self, found: Candidate, incident: Incident, suppression: Suppression | None) -> Ruling:
        is_held = found.action is Action.RESOLVE and any(active_span(one, self.now) for one in self.silences)
        return Ruling(Fate.POSTPONE) if is_held else super().ruling(found, incident, suppression)


class WithoutEcho(ModelWorld):
    """An end is told once, though a message may still be on its way."""

    def order(self, orders: Iterable[Order]) -> None:
        super().order(one for one in orders if one.cause != "resolve:echo")


class WithoutGuard(ModelWorld):
    """Whoever stood still sends, however late."""

    def has_time(self, held: Held) -> bool:
        return True


class WithSeverityInTheKey(ModelWorld):
    """Each severity is another incident over there."""

    def dedup_key(self, incident_id: str) -> str:
        return super().dedup_key(incident_id) + self.ledger.incidents[incident_id].severity


class DecidesOnWhatItReadFirst(ModelWorld):
    """Nobody looks who has been told since."""

    def is_outdated(self, picture: Picture, change: Change) -> bool:
        return False


class OrdersAfterwards(ModelWorld):
    """Whoever decides writes what is so, and then orders what follows; one in seven dies in between."""

    def order(self, orders: Iterable[Order]) -> None:
        super().order(orders if self.moment % 7 else ())


def with_outbox(outbox: type[Outbox]) -> Make:
    """Return how a world with such an outbox is made."""
    return lambda rules: ModelWorld(rules, outbox=outbox())


def _without_hold(rules: Rules) -> ModelWorld:
    world = ModelWorld(replace(rules, flapping_clear=timedelta(0)))
    world.ledger.rules = rules
    return world


def _count_only(row: Row, maybe: bool) -> None:
    row.uncertain += maybe


def _nothing(*_anything: object) -> None:
    return


def _is_over(draft: Draft, group_key: str) -> Incident | None:
    known = draft.picture.incidents.get(group_key)
    return replace(known, state=IncidentState.RESOLVED, resolved_at=draft.now) if known else None


def _freed_by_time(incident: Incident) -> Incident:
    return incident if is_rise(incident, incident.severity) else unacknowledged(incident)


def _freed_when_worse(incident: Incident) -> Incident:
    return unacknowledged(incident) if is_rise(incident, incident.severity) else incident


def _waits_again(draft: Draft, known: Alert | None, signal: Signal) -> Alert | None:
    waits = known is not None and known.is_open and signal.opened_at is None
    return seen(draft, replace(known, state=AlertState.PENDING) if known and waits else known, signal)


def _noted_each_time(draft: Draft, incident: Incident, suppression: Suppression | None) -> Incident:
    return noted(draft, replace(incident, suppressed_by=None), suppression)


def _ends_unheard(draft: Draft, rules: Rules, incident: Incident, *, reason: str, by: str | None = None) -> None:
    resolve(draft, rules, incident, reason=reason, by=by)
    draft.change.orders[:] = [one for one in draft.change.orders if one.action is not Action.RESOLVE]


@dataclass(frozen=True)
class Fault:
    """A world with one rule less, what shows it, and what has to happen often so that it shows soon."""

    rule: str
    shows: Collection[str]
    make: Make = ModelWorld
    broken: Mapping[str, object] = field(default_factory=dict)
    often: Collection[Deed] = ()


OPEN_OVER_THERE = ("PagerDuty shows nothing that is over", "whoever was told is told of the end")
BEGIN, END, TRY = deeds.a_breach_begins_or_changes, deeds.all_breaches_end, deeds.a_dispatcher_tries
FAULTS = (
    Fault(
        "messages of an incident to a channel go out in their order",
        ("messages arrive in their order", "an end is told to those who may know of it"),
        with_outbox(WithoutOrder),
    ),
    Fault(
        "what is ordered for the same decision is sent once",
        ("a message comes again only if it may have been lost",),
        with_outbox(WithoutMemory),
        often=(deeds.the_signals_are_looked_at, deeds.all_is_sent, BEGIN),
    ),
    Fault(
        "whoever has lost the lease has no say",
        ("what has arrived is not sent again",),
        with_outbox(WithoutFence),
    ),
    Fault(
        "whoever has little left of the lease does not send",
        (*OPEN_OVER_THERE, "one PagerDuty incident per episode"),
        WithoutGuard,
        often=(TRY, END),
    ),
    Fault(
        "an attempt that was cut short may have arrived",
        OPEN_OVER_THERE,
        broken={"calslo_dagster_tests.alerting.model_outbox.Row.doubt": _count_only},
    ),
    Fault(
        "a page about what is over is taken back",
        ("nothing but the end is told of what is over",),
        TellsWhatIsOver,
    ),
    Fault(
        "a page from before an acknowledgement is taken back",
        ("an acknowledgement takes pages back",),
        PagesWhatIsAcknowledged,
    ),
    Fault(
        "a page waits for the end of a silence",
        ("no page under a silence or a mute",),
        PagesWhatIsSilenced,
    ),
    Fault(
        "a page waits while what flaps is well",
        ("no page while all is well",),
        PagesWhatIsWell,
        often=(BEGIN, END, TRY),
    ),
    Fault(
        "a page is taken back for a newer one",
        ("no page goes out that a newer one repeats",),
        PagesForEachRound,
        often=(deeds.time_passes, TRY),
    ),
    Fault(
        "a page is taken back for another page, not for what says less",
        ("whoever is to be told is told in the end",),
        broken={f"{PRODUCT}.late._STANDS_IN": dict.fromkeys(PAGES, PAGES)},
        often=(deeds.time_passes, deeds.the_signals_are_looked_at, TRY),
    ),
    Fault(
        "an end that may cross a message is told again",
        OPEN_OVER_THERE,
        WithoutEcho,
        often=(BEGIN, END, TRY, deeds.somebody_resolves),
    ),
    Fault(
        "an end is told only to those who may know of it",
        ("an end is told to those who may know of it",),
        TellsTheEndToAll,
        often=(END, TRY, deeds.somebody_resolves),
    ),
    Fault(
        "an end is told to those who were told while it was decided",
        OPEN_OVER_THERE,
        DecidesOnWhatItReadFirst,
        often=(BEGIN, deeds.somebody_resolves),
    ),
    Fault(
        "severity is no part of the key",
        (*OPEN_OVER_THERE, "one PagerDuty incident per episode"),
        WithSeverityInTheKey,
        often=(BEGIN,),
    ),
    Fault(
        # Two guards hold here: the escalation stops, and a step that is due is refused.
        "an acknowledgement stops the escalation",
        ("no page while somebody has it",),
        broken={
            f"{PRODUCT}.responses._tells_anyway": lambda _escalation: True,
            f"{PRODUCT}.escalation._refusal": lambda _incident, _step: "",
        },
    ),
    Fault(
        "getting worse ends an acknowledgement",
        ("getting worse ends an acknowledgement", "seeing the same again changes nothing"),
        broken={f"{PRODUCT}.incidents.unacknowledged": _freed_by_time},
    ),
    Fault(
        "an acknowledgement expires",
        ("seeing the same again changes nothing", "every change is on record once"),
        broken={f"{PRODUCT}.incidents.unacknowledged": _freed_when_worse},
    ),
    Fault(
        "whoever has to be told anew is told",
        ("whoever is to be told is told in the end", "what goes on is told again"),
        broken={f"{PRODUCT}.{one}": _nothing for one in ("incidents.renew", "incidents.restart", "responses.renew")},
    ),
    Fault(
        "nobody is told under a silence",
        ("no page under a silence or a mute",),
        broken={f"{PRODUCT}.suppression.covering": _nothing},
    ),
    Fault(
        "a parent mutes its children",
        ("no page under a silence or a mute",),
        broken={f"{PRODUCT}.suppression.Suppressor._muted": _nothing},
    ),
    Fault(
        "what a person resolved does not come back by itself",
        ("what was resolved by hand stays so", "what cannot be judged neither fires nor resolves"),
        broken={f"{PRODUCT}.alerts._is_dismissed": lambda _known, _signal: False},
    ),
    Fault(
        "what flaps is held open until it has been well for long",
        ("what flaps is one incident",),
        _without_hold,
        often=(BEGIN, END),
    ),
    Fault(
        "what fires joins the incident that is open",
        ("one open incident per group",),
        broken={f"{PRODUCT}.picture.Draft.incident": _is_over},
    ),
    Fault(
        "each step is taken once",
        ("each step once, in order",),
        broken={f"{PRODUCT}.escalation._advance": _nothing},
    ),
    Fault(
        "what goes on is told again",
        ("what goes on is told again",),
        broken={f"{PRODUCT}.escalation._repeat": _nothing},
        often=(deeds.time_passes, deeds.the_signals_are_looked_at),
    ),
    Fault(
        "what is as bad as before again is told again as often",
        ("what goes on is told again",),
        broken={f"{PRODUCT}.incidents._told_again": lambda _draft, _rules, incident: incident},
        often=(deeds.time_passes, BEGIN),
    ),
    Fault(
        "whoever was told is told of the end",
        OPEN_OVER_THERE,
        broken={f"{PRODUCT}.incidents.resolve": _ends_unheard, f"{PRODUCT}.responses.resolve": _ends_unheard},
    ),
    Fault(
        "no silence holds an end back",
        ("nothing holds an end back",),
        HoldsEndsBack,
    ),
    Fault(
        "an incident ends when all is well",
        ("what is well ends",),
        broken={f"{PRODUCT}.incidents._is_clear": _nothing},
    ),
    Fault(
        "late data about a breach does not make it wait again",
        ("what fires does not wait again",),
        broken={f"{PRODUCT}.alerts._seen": _waits_again},
        often=(deeds.late_data_moves_a_breach,),
    ),
    Fault(
        "what holds an incident back is on record once",
        ("every change is on record once", "seeing the same again changes nothing"),
        broken={f"{PRODUCT}.escalation._noted": _noted_each_time},
    ),
    Fault(
        "every decision is on record",
        ("every change is on record once", "every message is on record"),
        broken={f"{PRODUCT}.picture.Draft.note": _nothing},
    ),
    Fault(
        "it is known when time will change something",
        ("time wakes when it said",),
        broken={"calslo_dagster_tests.alerting.model_world.wakes_at": lambda *_known, after: None},
    ),
    Fault(
        "what follows is ordered in the transaction that decides",
        ("whoever is to be told is told in the end", *OPEN_OVER_THERE),
        OrdersAfterwards,
    ),
    Fault(
        "what its sender has lost is sent by another",
        ("every message is sent, superseded or dead", "whoever is to be told is told in the end", *OPEN_OVER_THERE),
        broken={"calslo_dagster_tests.alerting.model_outbox.Row.is_lost": lambda _row, _now: False},
    ),
)
