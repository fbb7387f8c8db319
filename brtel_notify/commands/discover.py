"""``brtel-notify discover``: what the instance calls its priorities, categories, teams…"""

from __future__ import annotations

from typing import Any, Dict, List

from brtel_notify.console import tables
from brtel_notify.console.configured import services_of
from brtel_notify.console.output import paint, print_json
from brtel_notify.local import command_line
from brtel_notify.options import Options
from brtel_notify.tickets.ids_of_names import LISTS

_TITLES = {
    "priority": "priorities",
    "category": "categories",
    "sub_category": "sub-categories",
    "team": "support teams",
    "status": "statuses",
}


def run(arguments: List[str], options: Options) -> int:
    """Show the names that the configuration may use."""
    made = command_line.parser(
        "discover",
        "The priorities, categories, sub-categories, teams and statuses of your instance:"
        " the names and ids that config.yml may use.",
        "brtel-notify discover --json",
    )
    made.add_argument("--users", action="store_true", help="also the users: ticket.assignee")
    made.add_argument("--json", action="store_true", help="for programs")
    given = command_line.parse(made, arguments, options)
    services = services_of(options)
    lists = {_TITLES[name]: services.names.rows(name) for name in LISTS}
    if given.users:
        lists["users"] = [user._asdict() for user in services.client.users()]
    if given.json:
        print_json({title.replace("-", "_"): rows for title, rows in lists.items()})
        return 0
    _print(lists)
    return 0


def _print(lists: Dict[str, List[Dict[str, Any]]]) -> None:
    categories = {row["id"]: row["name"] for row in lists["categories"]}
    for title, rows in lists.items():
        print(paint(title, "bold"))
        for line in tables.table(
            ("", "", ""),
            ((row["id"], row["name"], _about(row, categories)) for row in rows),
        )[1:]:
            print(f"  {line}")
        if not rows:
            print("  none")


def _about(row: Dict[str, Any], categories: Dict[Any, str]) -> str:
    """What else there is to say of ROW: its category or address, and whether it is in use."""
    name = categories.get(row.get("category_id"))
    about = f"of {name}" if name else row.get("email", "")
    return about if row.get("active", True) else f"{about} (inactive)".strip()
