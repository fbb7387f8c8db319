"""The baseline: what one writes first. The cookbook's five calls, one after another.

No session, no configuration, no template, no queue, no look for a duplicate: a script that a
monitoring server starts once an alert. Usage: naive.py URL TOKEN HOST OUTPUT [CA_FILE]
"""

from __future__ import annotations

import datetime
import sys

import requests


def main() -> None:
    url, token, host, output = sys.argv[1:5]
    verify = sys.argv[5] if len(sys.argv) > 5 else True
    headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M:%S")

    pbx = requests.get(
        f"{url}/v1/pbx3cx-hosts/lookup",
        params={"host_name": host},
        headers=headers,
        timeout=30,
        verify=verify,
    )
    pbx.raise_for_status()
    customer = pbx.json()["customers"][0]["id"]

    contacts = requests.get(
        f"{url}/v1/contacts",
        params={"contactable_type": "App\\Customer", "contactable_id": customer},
        headers=headers,
        timeout=30,
        verify=verify,
    )
    contacts.raise_for_status()
    technical = [c for c in contacts.json() if "technical" in (c["role"] or "").lower()]

    ticket = requests.post(
        f"{url}/v1/tickets",
        params={"ticketable_type": "App\\Customer", "ticketable_id": customer},
        json={
            "subject": f"Monitoring alert: {host}",
            "body": f"<p>{output}</p><p>Detected at {now} UTC</p>",
            "priority_id": 2,
            "ticket_category_id": 5,
            "ticket_sub_category_id": 12,
            "tags": ["monitoring", "auto"],
        },
        headers=headers,
        timeout=30,
        verify=verify,
    )
    ticket.raise_for_status()
    number = ticket.json()["id"]

    if technical:
        requests.put(
            f"{url}/v1/tickets/{number}/associates",
            json={"associated": [technical[0]["id"]], "unassociated": []},
            headers=headers,
            timeout=30,
            verify=verify,
        ).raise_for_status()

    requests.post(
        f"{url}/v1/replies",
        params={"ticket_id": number},
        json={
            "body": f"<p><strong>Alert details</strong></p><p>{host}: {output}</p>",
            "close": False,
            "send_to_assignee": True,
            "send_to_contacts": False,
            "customer_visible": False,
        },
        headers=headers,
        timeout=30,
        verify=verify,
    ).raise_for_status()


if __name__ == "__main__":
    main()
