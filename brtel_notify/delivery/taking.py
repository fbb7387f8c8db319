"""One step taken, and how the delivery goes on when it was refused: acts on next_way.py."""

from __future__ import annotations

from typing import Any, Dict, Mapping, Optional, Tuple

from brtel_notify.api.exceptions import ApiError
from brtel_notify.delivery import next_way, step_names
from brtel_notify.delivery.situation import Plan, Situation
from brtel_notify.delivery.steps import Steps
from brtel_notify.intake.queue import Event


class CustomerGone(Exception):
    """The customer is not there any more: what the cache knows of customers is out of date.

    With the fact ``to_fallback``, the customer's id, where looking again did not help.
    """


class Taking:
    """Takes the STEPS of one event. ``turned_down``: what the refusal is counted as with which this
    attempt ended, if with one."""

    def __init__(self, steps: Steps) -> None:
        self.steps = steps
        self.event = steps.event
        self.turned_down = ""

    def take(self, step: str, situation: Situation, plan: Plan) -> Mapping[str, Any]:
        """Take one step and journal what it found."""
        try:
            result: Any = self.steps.take(step, situation, plan)
        except ApiError as error:
            step, result = self._went_wrong(step, situation, error)
        if self.event.results.get(step) != result:  # else the step has entered it itself
            self.event.enter(step=step, result=result)
        return {step: result}

    def _went_wrong(self, step: str, situation: Situation, error: ApiError) -> Tuple[str, Any]:
        """On after a refused STEP: what the journal gets in place of its result, by which name.

        Raises ApiError where that is the end of this attempt; CustomerGone.
        """
        counted = next_way.counts_as(step, error)
        refusals = self.event.turned_down(counted)
        how = next_way.after_refusal(step, error, situation, refusals)
        if how in (next_way.PROVE, next_way.LOOK):
            proof = self._proof(how, situation, error)
            how = next_way.after_refusal(step, error, situation, refusals, proof)
        if how in (next_way.CUSTOMER_GONE, next_way.FALLBACK):
            gone = situation.facts[step_names.FIND]["customer"]["id"]
            raise CustomerGone(gone if how == next_way.FALLBACK else None) from error
        went_on = self._on_without(how, step, situation, error)
        if went_on is not None:
            return went_on
        self.turned_down = counted if self._others_pass(how, counted, error) else ""
        raise error.judged(
            how != next_way.ENDS, self._tried(step, situation, refusals + 1)
        ) from error

    def _others_pass(self, how: str, counted: str, error: ApiError) -> bool:
        """Whether it is only this call that is refused, and not everything for a while."""
        if how != next_way.A_FEW_TIMES or not next_way.is_of_another(counted):
            return True
        try:
            self.steps.services.client.prove_itself(error)
        except ApiError:
            return False
        return True

    def _tried(self, step: str, situation: Situation, times: int) -> str:
        """What was tried for STEP, which was refused so many TIMES, in words."""
        ways = self.event.ways(step)
        ways += ["the customer looked up again"] * ("looked_again" in situation.facts)
        ways += ["the fallback customer"] * ("to_fallback" in situation.facts)
        often = f"refused {times} times" if times > 1 else ""
        tried = f"tried: {'; '.join(ways)}" if len(ways) > 1 else ""
        said = "; ".join(filter(None, (tried, often)))
        return f" ({said})" if said else ""

    def _on_without(
        self, how: str, step: str, situation: Situation, error: ApiError
    ) -> Optional[Tuple[str, Any]]:
        """What the journal gets where the delivery goes on without STEP; None where it does not."""
        say, key = self.steps.services.log.say, self.steps.alert.key
        if how == next_way.GONE:
            ticket, _ = situation.ticket
            say(f"{key}: ticket {ticket} is not there any more")
            return "gone", ticket
        if how == next_way.NEW_TICKET:
            ticket, number = situation.ticket
            name = number or str(ticket)
            say(f"{key}: ticket {name} cannot be reopened: {error}")
            return step, {"refused_for": name, "why": str(error)}
        if how == next_way.UNSEARCHED and self.steps.owner is not None:
            say(f"{key}: whether it has a ticket already cannot be seen: {error}")
            return step, {"customer": self.steps.owner, "ticket": None, "seen": []}
        if how == next_way.LEFT_OUT:
            say(f"{key}: {step} left out: {error}")
            return step, {"left_out": str(error)}
        return None

    def _proof(self, wanted: str, situation: Situation, error: ApiError) -> str:
        """What the server shows of itself, or of the ticket. Raises ApiError."""
        if wanted == next_way.PROVE:
            self.steps.services.client.prove_itself(error)
            return next_way.ITSELF
        there = self.steps.services.client.has_ticket(*situation.ticket, situation.carried)
        return next_way.THERE if there else next_way.MISSING


def standing_facts(event: Event) -> Dict[str, Any]:
    """What earlier attempts found out and did.

    Before anything was changed, what they saw on the server may have changed since, so it is
    looked at again; unless a creation is in doubt, which is settled against what was seen, or
    what was seen may be closed by now.
    """
    facts = event.results
    changed = [name for name, fact in facts.items() if _changed_something(name, fact)]
    begun = (str(record.get("begin", "")) for record in event.journal)
    merging = any(step_names.is_about_doubles(step) for step in begun)
    if changed or merging or event.in_doubt(step_names.CREATE):
        return facts
    left = {name: fact for name, fact in facts.items() if name not in _SEEN}
    met = facts.get(step_names.FIND, {}).get("ticket")
    if met is not None and not met["open"]:  # if it is open now, it was us who reopened it
        left["seen_closed"] = met["id"]
    return left


#: The steps that only look at the server.
_SEEN = (step_names.FIND, step_names.CHECK)


def _changed_something(name: str, fact: Any) -> bool:
    """Whether the step NAME has changed anything on the server."""
    if name == step_names.REOPEN:
        return "refused_for" not in fact
    return name not in (*_SEEN, "gone", "looked_again", "to_fallback", "seen_closed")
