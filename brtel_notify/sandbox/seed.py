"""The data that a fresh sandbox starts with: the cookbook's customer, and the awkward ones.

The same shape is what ``--data FILE`` and ``/__sandbox__/data`` read and write: an object of
collections, each a list of objects with an ``id``. Everything that looks like a secret says so
(``SANDBOX-SECRET``), so that a test can prove that it leaks nowhere.
"""

from __future__ import annotations

from typing import Any, Dict, List, Optional

Record = Dict[str, Any]

CUSTOMER_TYPE = "App\\Customer"
"""The only entity that tickets and contacts belong to (BlueRockTEL's Tickets page)."""

EMAIL = "noc@example.net"
PASSWORD = "sandbox"  # noqa: S105 - the sandbox's own, printed in its documentation
TOKEN = "sandbox-token"  # noqa: S105
SECRET = "SANDBOX-SECRET"  # noqa: S105
"""Part of every secret-looking value of the seed."""

NEAR_MISSES = (
    "Avocats",
    "Boulangerie",
    "Conseil",
    "Dentaire",
    "Energie",
    "Formation",
    "Garage",
    "Hotel",
    "Immobilier",
    "Jardins",
    "Logistique",
    "Menuiserie",
    "Notaires",
    "Optique",
    "Pharmacie",
    "Transports",
)
"""Sixteen customers are named "Horizon …", one more than a search returns."""


def seed() -> Dict[str, List[Record]]:
    """Return a fresh copy of the seed."""
    return {
        "users": _users(),
        "priorities": _named({1: "Low", 2: "High", 3: "Urgent", 4: "Normal"}),
        "categories": _named({1: "Telephony", 2: "Billing", 3: "Backups", 5: "Infrastructure"}),
        "sub_categories": _sub_categories(),
        "statuses": _statuses(),
        "support_teams": [
            {"id": 1, "name": "Systems", "users": [1, 2]},
            {"id": 2, "name": "On-call", "users": [2]},
        ],
        "customers": _customers(),
        "pbx_hosts": _pbx_hosts(),
        "hosts": [],
        "contacts": _contacts(),
        "tickets": [],
    }


def _named(names: Dict[int, str]) -> List[Record]:
    return [{"id": number, "name": name} for number, name in names.items()]


def _users() -> List[Record]:
    return [
        {"id": 1, "name": "Monitoring", "email": EMAIL, "password": PASSWORD, "role": 8},
        {
            "id": 2,
            "name": "Paul Martin",
            "email": "p.martin@example.net",
            "password": f"{SECRET}-user-2",
            "role": 20,
        },
        {
            "id": 3,
            "name": "Old Technician",
            "email": "old.technician@example.net",
            "password": f"{SECRET}-user-3",
            "active": False,
        },
    ]


def _sub_categories() -> List[Record]:
    rows = [
        (10, "Incoming calls", 1, 4),
        (11, "Network", 5, 2),
        (12, "PBX / 3CX", 5, 2),
        (13, "Failed", 3, 4),
        # The same name in two categories: a name alone does not tell which one is meant.
        (14, "Other", 1, 1),
        (15, "Other", 5, 1),
    ]
    return [
        {"id": number, "name": name, "ticket_category_id": category, "priority_id": priority}
        for number, name, category, priority in rows
    ]


def _statuses() -> List[Record]:
    return [
        {"id": 1, "name": "New", "auto_for": "default", "default": True},
        {"id": 2, "name": "In progress", "auto_for": "on_admin_reply"},
        {"id": 3, "name": "Customer replied", "auto_for": "on_customer_reply"},
        {"id": 4, "name": "Waiting for a supplier", "auto_for": None},
    ]


def _customer(number: int, name: str, account: Optional[str] = None, **more: Any) -> Record:
    record: Record = {
        "id": number,
        "name": name,
        "customer_account": account or f"CL{number:06d}",
        "vip": False,
        "on_call_duty": False,
        "setup_follow_up": False,
        "setup_follow_up_user": None,
    }
    record.update(more)
    return record


def _customers() -> List[Record]:
    customers = [
        _customer(1, "Support desk - unassigned alerts"),
        _customer(7, "Lumière Optique"),
        _customer(12, "Clinique du Parc", vip=True, on_call_duty=True),
        _customer(15, "Ateliers Morel"),
        _customer(42, "Acme Telecom SAS", "CL2385"),
    ]
    customers += [
        _customer(201 + index, f"Horizon {trade}") for index, trade in enumerate(NEAR_MISSES)
    ]
    return customers


def _pbx_host(
    number: int, host_name: str, code: str, customers: List[int], active: bool = True
) -> Record:
    return {
        "id": number,
        "host_name": host_name,
        "code": code,
        "active": active,
        "ip_address": "203.0.113.10" if number == 7 else f"198.51.100.{number}",
        "licence_type": "Enterprise",
        "customers": customers,
        "web_login": "admin",
        "web_password": f"{SECRET}-web-{number}",
        "ssh_password": f"{SECRET}-ssh-{number}",
        "licence_key": f"{SECRET}-licence-{number}",
    }


def _pbx_hosts() -> List[Record]:
    return [
        _pbx_host(7, "acme.3cx.fr", "XK93PL", [42]),
        _pbx_host(21, "lumiere.3cx.fr", "LU21AA", [7]),
        _pbx_host(22, "lumiere-backup.3cx.fr", "LU22BB", [7]),
        _pbx_host(23, "clinique-parc.3cx.fr", "CP23CC", [12]),
        _pbx_host(24, "morel-old.3cx.fr", "MO24DD", [15], active=False),
        _pbx_host(25, "nobody.3cx.fr", "NO25EE", []),
        _pbx_host(26, "shared.3cx.fr", "SH26FF", [7, 15]),
    ]


def _contact(number: int, customer: int, last_name: str, email: str, **more: Any) -> Record:
    record: Record = {
        "id": number,
        "contactable_type": CUSTOMER_TYPE,
        "contactable_id": customer,
        "civility": None,
        "first_name": None,
        "last_name": last_name,
        "email_address": email,
        "role": None,
        "service": None,
        "mobile_phone": None,
        "landline_phone": None,
    }
    record.update(more)
    return record


def _contacts() -> List[Record]:
    return [
        _contact(
            88,
            42,
            "Dupont",
            "m.dupont@acme-telecom.fr",
            civility="Mme",
            first_name="Marie",
            role="Technical Manager",
            mobile_phone="+33612345678",
        ),
        _contact(89, 42, "Accueil", "contact@acme-telecom.fr", landline_phone="+33140000042"),
        _contact(
            90,
            7,
            "Petit",
            "j.petit@lumiere-optique.example",
            civility="M.",
            first_name="Jean",
            role="Responsable technique",
            service="Informatique",
        ),
        _contact(91, 12, "Roux", "direction@clinique-parc.example", first_name="Anne", role="CEO"),
        _contact(
            92,
            12,
            "Garnier",
            "it@clinique-parc.example",
            first_name="Luc",
            role="Technique / astreinte",
        ),
        _contact(93, 12, "Blanc", "it2@clinique-parc.example", role="Technical support"),
    ]
