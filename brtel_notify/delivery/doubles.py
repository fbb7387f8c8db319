"""Two open tickets with one reference: which is closed, and when it is looked for them.

Nobody can prevent them: two monitoring servers search in one instant and find nothing, a call whose
answer was lost is carried out long after. Where a search shows them, the younger is closed with a
pointer to the older, which is used from then on. Values and pure functions, around the plan.
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Sequence, Tuple

from brtel_notify.alert import reference
from brtel_notify.delivery.retry import SETTLING
from brtel_notify.delivery.situation import Plan, Situation
from brtel_notify.delivery.step_names import CHECK, CLOSE_DOUBLE, FIND, RESOLVE, TELL_OF_DOUBLES
from brtel_notify.text import times


def reference_of(ticket_id: int) -> str:
    """The reference of the pointer on that double: the same, whichever server closes it."""
    return reference(f"double:{ticket_id}")


def reference_of_note(ids: str) -> str:
    """The reference of the note about the doubles with those IDS, on the older ticket."""
    return reference(f"had doubles:{ids}")


def as_facts(younger: Sequence[Any]) -> Dict[str, Any]:
    """What a step that saw them says of the YOUNGER tickets."""
    return {"doubles": [{"id": t.id, "number": t.number} for t in younger]} if younger else {}


def seen(s: Situation) -> List[Mapping[str, Any]]:
    """The younger tickets that the steps so far have seen."""
    return [double for step in (FIND, CHECK) for double in s.facts.get(step, {}).get("doubles", [])]


def of_the_older(s: Situation) -> Situation:
    """The situation on the older ticket, where the map named a younger one."""
    older = s.facts.get(CHECK, {}).get("older")
    if older is None or s.entry is None:
        return s
    return s._replace(entry=s.entry._replace(ticket_id=older["id"], number=older["number"]))


def with_doubles(plan: Plan, s: Situation) -> Plan:
    """PLAN with what is done about doubles: a look where there may be one, and their closing."""
    looks = CHECK in s.facts
    ends = RESOLVE in plan.steps and CHECK not in plan.steps
    if ends and _may_have_one(s) and (looks or RESOLVE not in s.facts):
        plan = plan._replace(steps=(CHECK, *plan.steps))
    if looks and plan.entry is not None and _is_settled(s):
        plan = plan._replace(entry=plan.entry._replace(perhaps_two=False))
    found = seen(s)
    if not found:
        return plan
    names = ", ".join(double["number"] or str(double["id"]) for double in found)
    closing = tuple(f"{CLOSE_DOUBLE} {double['id']}" for double in found)
    return plan._replace(
        decision=f"{plan.decision}; its double {names} closed",
        steps=_behind_the_look(plan.steps, (*closing, TELL_OF_DOUBLES)),
    )


def _behind_the_look(steps: Tuple[str, ...], more: Tuple[str, ...]) -> Tuple[str, ...]:
    looks = [number for number, step in enumerate(steps) if step in (FIND, CHECK)]
    place = max(looks) + 1 if looks else 0
    return (*steps[:place], *more, *steps[place:])


def _may_have_one(s: Situation) -> bool:
    return s.entry is not None and s.entry.perhaps_two and FIND not in s.facts


def _is_settled(s: Situation) -> bool:
    """Whether whoever made another ticket in the same instant has made it by now."""
    opened = s.entry.opened_at if s.entry else ""
    return bool(opened) and s.now - times.from_iso(opened) > SETTLING
