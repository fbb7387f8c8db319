"""Where people see a ticket."""

from __future__ import annotations

from typing import Optional
from urllib.parse import quote

from brtel_notify.local.cleaning import web_url


def ticket_page(page: Optional[str], ticket_id: int, number: str) -> str:
    """The address of that ticket, by ``api.ticket_page``; empty without it."""
    address = (page or "").replace("{id}", str(ticket_id))
    return web_url(address.replace("{number}", quote(number, "", errors="replace")))
