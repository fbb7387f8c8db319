"""The steps of a plan, by name: plan.py chooses them, steps.py takes them.

Each is at most one change on the server, and stands at most once in a plan.
"""

from __future__ import annotations

FIND = "find"  # search the server for a ticket with our reference (adopt: any open one)
CHECK = "check"  # see whether a person closed or deleted the ticket
CREATE = "create"
ASSIGN = "assign"  # to whom the configuration says, or to nobody: its opener is its first assignee
DUE = "due"  # its resolution date again, once it has shown the instance's time zone
ATTACH = "attach"  # the customer's technical contact
DETAILS = "details"  # the cookbook's step 5
UPDATE = "update"  # priority and estimated resolution date
REOPEN = "reopen"
KEEP_OPEN = "keep open"  # take back that somebody asked for its closing: the problem goes on
NOTE = "note"
RESOLVE = "resolve"  # note and close in one call
CLOSE = "close"  # without a note, where the server refuses that
CLOSE_DOUBLE = "close double"  # … and its id: a younger ticket with the same reference
TELL_OF_DOUBLES = "tell of doubles"  # on the older one

#: Without these a ticket is still a good ticket: when the server refuses one, it is left out.
OPTIONAL = frozenset((ASSIGN, DUE, ATTACH, DETAILS))
#: Of these even a failure that may pass is waited for only a few times.
NO_TICKETS_WORTH = frozenset((ASSIGN, DUE, KEEP_OPEN))
#: These tell what the alert says.
TEXTS = frozenset((CREATE, DETAILS, NOTE, RESOLVE))
#: What may be left out when the server refuses it, unless it does so because the ticket is gone.
REFUSABLE = OPTIONAL | {CHECK, UPDATE, KEEP_OPEN}


def is_about_doubles(step: str) -> bool:
    """Whether STEP is one of those on a ticket with the same reference as the alert's."""
    return step.startswith(CLOSE_DOUBLE) or step == TELL_OF_DOUBLES
