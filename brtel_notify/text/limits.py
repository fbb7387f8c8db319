"""How long the texts of a ticket may be, and how much a template or rule may do."""

from __future__ import annotations

#: A subject is a VARCHAR of this length, in characters (api-notes).
SUBJECT_CHARACTERS = 255
#: MySQL's TEXT holds 65,535 bytes; the rest is room for what the server may add (api-notes).
BODY_BYTES = 60_000
#: No text or list may become longer while a template of one's own or a rule is evaluated.
MOST_CHARACTERS = 500_000
#: How much one of them may do: 1 for each body that is run and each filter or call, and 1 for
#: every ten characters or items that go through. It takes seconds at most.
MOST_WORK = 500_000
