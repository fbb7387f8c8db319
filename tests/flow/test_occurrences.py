"""An occurrence is no repetition (DESIGN section 5): each source's own words, and what they do."""

from __future__ import annotations

import json
from typing import Any, Dict, Iterator, List, Optional

import pytest
from support import CONFIG, Site, load_capture

SERVICE, SERVICE_OK = "nagios4-service-problem", "nagios4-service-recovery"
HOST, HOST_UP = "nagios4-host-problem", "nagios4-host-recovery"
#: When the captured service failed and was well again, in seconds since the epoch.
FAILED, WELL = 1795285892, 1795285900


def close_by_hand(site: Site) -> None:
    """A person closes the one ticket that is open."""
    from brtel_notify.api.client import Client
    from brtel_notify.api.credentials import Credentials

    (number,) = [ticket["id"] for ticket in site.tickets if ticket["open"]]
    with Client(site.sandbox.url, Credentials(token=site.sandbox.token)) as client:
        client.close_ticket(number)
    site.sandbox.clear_requests()


def notes(site: Site, number: int = 0) -> List[str]:
    return [str(reply["body"]) for reply in site.tickets[number]["replies"]]


def is_open(site: Site) -> List[bool]:
    return [bool(ticket["open"]) for ticket in site.tickets]


def zabbix(site: Site, event: int, value: int = 1, *more: str, name: str = "SIP trunk down") -> str:
    """What Zabbix passes about one event of trigger 13491; what the command said."""
    given = dict(line.split(": ", 1) for line in more)
    lines = {
        "EVENT.ID": str(event),
        "EVENT.VALUE": str(value),
        "EVENT.UPDATE.STATUS": "0",
        "EVENT.NAME": name,
        "EVENT.SEVERITY": "High",
        "EVENT.NSEVERITY": "4",
        "TRIGGER.ID": "13491",
        "HOST.HOST": "acme.3cx.fr",
        "EVENT.TAGSJSON": '[{"tag":"customer_account","value":"CL2385"}]',
        **given,
    }
    message = "\n".join(f"{name}: {value}" for name, value in lines.items())
    return site.run("zabbix", "CL2385", "problem" if value else "ok", message).stdout


def update(site: Site, event: int, done: str, *more: str) -> str:
    return zabbix(site, event, 1, "EVENT.UPDATE.STATUS: 1", f"EVENT.UPDATE.ACTION: {done}", *more)


def librenms(site: Site, uid: int, state: int = 1, **more: Any) -> str:
    """LibreNMS's alert data of alert 31; ID is, on a recovery, the log row that it ends."""
    data = {**load_capture("librenms-problem")["stdin"], "uid": uid, "id": uid, "state": state}
    document = json.dumps({**data, **more}).encode()
    return site.run("librenms", stdin=document).stdout


def icinga(site: Site, kind: str, service: str, state: str, *more: str) -> str:
    variables = [
        *(f"NOTIFICATIONTYPE={kind}", "HOSTNAME=acme.3cx.fr", f"SERVICEDESC={service}"),
        *(f"SERVICESTATE={state}", f"SERVICEOUTPUT={service} {state}", "HOSTSTATE=UP"),
        *("_HOSTCUSTOMER_ACCOUNT=CL2385", *more),
    ]
    return site.run("icinga", *[word for each in variables for word in ("--var", each)]).stdout


def event(site: Site, state: str, *more: str) -> str:
    return site.run(
        "event", "--host", "acme.3cx.fr", "--service", "x", "--state", state, *more
    ).stdout


# --- A1: the recovery was never sent, a person closed the ticket, and it fails again --------------


@pytest.mark.short
def test_a1_zabbix_another_event(site: Site) -> None:
    zabbix(site, 1001)
    close_by_hand(site)
    assert "opened a new one" in zabbix(site, 1010)
    assert is_open(site) == [False, True]
    zabbix(site, 1001, 0)  # its recovery, late: that one is over, and another is open
    assert is_open(site) == [False, True]
    zabbix(site, 1010, 0)
    assert is_open(site) == [False, False]


@pytest.mark.parametrize(
    "named",
    [
        ("LASTSERVICEOK=1795289999",),
        ("LASTSERVICEOK=0", "SERVICEPROBLEMID=7"),
    ],
)
def test_a1_nagios_another_problem(site: Site, named: tuple[str, ...]) -> None:
    first = [] if len(named) == 1 else ["LASTSERVICEOK=0"]
    site.notify(SERVICE, *first)
    close_by_hand(site)
    later = ("LASTSERVICESTATECHANGE=1795289999", "TIMET=1795289999")
    assert "opened a new one" in site.notify(SERVICE, *later, *named)
    assert is_open(site) == [False, True]


def test_a1_icinga_two_masters_of_the_old_drop_in(site: Site) -> None:
    icinga(site, "PROBLEM", "SIP trunk", "CRITICAL", "LASTSERVICESTATECHANGE=1795285944")
    close_by_hand(site)
    icinga(site, "PROBLEM", "SIP trunk", "CRITICAL", "LASTSERVICESTATECHANGE=1795287144")
    assert is_open(site) == [False, True]


def test_a1_icinga_with_the_new_drop_in(site: Site) -> None:
    icinga(site, "PROBLEM", "SIP trunk", "WARNING", "LASTSERVICEOK=1795285944.5")
    close_by_hand(site)
    icinga(site, "PROBLEM", "SIP trunk", "WARNING", "LASTSERVICEOK=1795287144.5")
    assert is_open(site) == [False, True]


@pytest.mark.short
def test_a1_librenms_a_greater_uid(site: Site) -> None:
    librenms(site, 904)
    close_by_hand(site)
    librenms(site, 911, timestamp="2026-11-21 18:51:07")
    assert is_open(site) == [False, True]


def test_a1_an_event_that_is_given_an_occurrence(site: Site) -> None:
    event(site, "DOWN", "--occurrence", "monday")
    close_by_hand(site)
    event(site, "DOWN", "--occurrence", "tuesday")
    assert is_open(site) == [False, True]
    assert "another one than is open" in event(site, "UP", "--occurrence", "monday")
    event(site, "UP")  # names none: all are over
    assert is_open(site) == [False, False]


def test_what_is_still_open_gets_a_note_of_the_next_one(site: Site) -> None:
    zabbix(site, 1001)
    site.notify(SERVICE)
    site.calls()
    site.notify(SERVICE, "LASTSERVICEOK=1795289999", "SERVICEOUTPUT=failed once more")
    assert len(site.tickets) == 2
    assert "failed once more" in notes(site, 1)[-1]
    assert "Another problem (CRITICAL)" in notes(site, 1)[-1]
    assert site.calls() == ["GET /v1/tickets/1025", "POST /v1/replies"]


def test_another_one_that_is_worse_raises_the_priority(site: Site) -> None:
    site.configure("severities: {critical: {priority: Urgent}}\n")
    site.notify(SERVICE, "SERVICESTATE=WARNING")
    site.notify(SERVICE, "LASTSERVICEOK=1795289999")
    assert site.the_ticket()["priority_id"] == 3


@pytest.mark.parametrize(("wanted", "states"), [("ignore", [False, True]), ("reopen", [True])])
def test_a_persons_closing_is_about_what_was_open_then(
    site: Site, wanted: str, states: List[bool]
) -> None:
    site.configure(f"lifecycle: {{on_closed_by_hand: {wanted}}}\n")
    zabbix(site, 1001)
    close_by_hand(site)
    zabbix(site, 1010)
    assert is_open(site) == states
    zabbix(site, 1001, 0)
    assert is_open(site) == states
    zabbix(site, 1010, 0)
    assert not any(is_open(site))


def test_ignore_holds_for_the_ones_that_were_open(site: Site) -> None:
    site.configure("lifecycle: {on_closed_by_hand: ignore}\n")
    site.notify(SERVICE, "SERVICESTATE=WARNING")
    close_by_hand(site)
    site.notify(SERVICE)  # the same, worse: it is looked at, and left alone
    assert "left alone" in site.notify(SERVICE)
    assert is_open(site) == [False]
    site.notify(SERVICE, "LASTSERVICEOK=1795289999", "LASTSERVICESTATECHANGE=1795289999")
    assert is_open(site) == [False, True]


# --- a true repetition costs no call, and no step within one problem is another -------------------


@pytest.mark.short
def test_a_true_repetition_costs_no_call(site: Site) -> None:
    site.notify(SERVICE)
    zabbix(site, 1001)
    librenms(site, 904)
    icinga(site, "PROBLEM", "VPN", "DOWN", "LASTSERVICEOK=1795285944.5")
    event(site, "DOWN", "--occurrence", "monday")
    site.calls()
    site.notify(SERVICE, "TIMET=1795286000", "SERVICENOTIFICATIONID=9", "NOTIFICATIONNUMBER=2")
    zabbix(site, 1001)
    librenms(site, 904)
    icinga(site, "PROBLEM", "VPN", "DOWN", "LASTSERVICEOK=1795285944.5")
    event(site, "DOWN", "--occurrence", "monday")
    assert site.calls() == []


def whole_life(site: Site, play: Any) -> None:
    """WARNING, CRITICAL, OK: one ticket, two notes more, closed."""
    play("WARNING"), play("CRITICAL"), play("OK")
    ticket = site.the_ticket()
    assert not ticket["open"]
    assert len(ticket["replies"]) == 3


@pytest.mark.short
def test_worse_is_no_other_occurrence_on_nagios(site: Site) -> None:
    changed = {"WARNING": FAILED, "CRITICAL": FAILED + 3, "OK": WELL}

    def play(state: str) -> None:
        capture = SERVICE_OK if state == "OK" else SERVICE
        since = f"LASTSERVICESTATECHANGE={changed[state]}"
        site.notify(capture, f"SERVICESTATE={state}", since)

    whole_life(site, play)


@pytest.mark.parametrize("macro", ["LASTSERVICEOK", "LASTSERVICESTATECHANGE"])
def test_worse_is_no_other_occurrence_on_icinga(site: Site, macro: str) -> None:
    changed = {"WARNING": FAILED, "CRITICAL": FAILED + 3, "OK": WELL}
    well = {"WARNING": FAILED, "CRITICAL": FAILED, "OK": WELL}

    def play(state: str) -> None:
        kind = "RECOVERY" if state == "OK" else "PROBLEM"
        known = [f"LASTSERVICESTATECHANGE={changed[state]}"]
        if macro == "LASTSERVICEOK":  # "now" in the recovery
            known.append(f"LASTSERVICEOK={well[state]}")
        icinga(site, kind, "VPN", state, *known)

    whole_life(site, play)


def test_worse_is_no_other_occurrence_on_zabbix(site: Site) -> None:
    def play(state: str) -> None:
        if state == "WARNING":
            zabbix(site, 1001, 1, "EVENT.SEVERITY: Warning", "EVENT.NSEVERITY: 2")
        elif state == "CRITICAL":
            update(site, 1001, "changed severity from Warning to High")
        else:
            zabbix(site, 1001, 0)

    whole_life(site, play)


def test_worse_is_no_other_occurrence_on_librenms(site: Site) -> None:
    librenms(site, 904)
    librenms(site, 905, 3)
    librenms(site, 907, 0, id=905, timestamp="2026-11-21 18:51:07")
    ticket = site.the_ticket()
    assert not ticket["open"]
    assert len(ticket["replies"]) == 3


def test_the_same_uid_again_is_a_repetition(site: Site) -> None:
    librenms(site, 904)
    librenms(site, 905, 3)
    site.calls()
    librenms(site, 905, 3)
    assert site.calls() == []


def test_worse_is_no_other_occurrence_of_an_event(site: Site) -> None:
    whole_life(site, lambda state: event(site, state, "--occurrence", "monday"))


@pytest.mark.short
def test_down_unreachable_up_with_the_ids_2_0_0(site: Site) -> None:
    never = "LASTHOSTUP=0"
    site.notify(HOST, never, "HOSTPROBLEMID=2")
    site.notify(HOST, never, "HOSTPROBLEMID=0", "HOSTSTATE=UNREACHABLE")
    site.notify(HOST_UP, never, "HOSTPROBLEMID=0")
    ticket = site.the_ticket()
    assert not ticket["open"]
    assert len(ticket["replies"]) == 3


def test_nagios_restarted_without_its_memory_counts_from_1_again(site: Site) -> None:
    known = ("LASTSERVICEOK=0", "SERVICEPROBLEMID=1")
    site.notify(SERVICE, *known)
    close_by_hand(site)
    site.notify(SERVICE, *known, "LASTSERVICESTATECHANGE=1795289999", "TIMET=1795289999")
    assert is_open(site) == [False, True]


def test_after_a_recovery_id_1_again_is_a_ticket(site: Site) -> None:
    site.configure("lifecycle: {reopen_within: 0s}\n")
    known = ("LASTSERVICEOK=0", "SERVICEPROBLEMID=1")
    site.notify(SERVICE, *known)
    site.notify(SERVICE_OK, *known)
    site.notify(SERVICE, *known, "LASTSERVICESTATECHANGE=1795289999", "TIMET=1795289999")
    assert is_open(site) == [False, True]


# --- A2: several at once --------------------------------------------------------------------------


@pytest.mark.short
def test_a2_zabbix_multiple_events_close_with_the_last(site: Site) -> None:
    zabbix(site, 1001, name="UPS on battery")
    worse = ("EVENT.SEVERITY: Disaster", "EVENT.NSEVERITY: 5")
    assert "noted" in zabbix(site, 1002, 1, *worse, name="UPS battery FAILED")
    zabbix(site, 1002, 1, *worse, name="UPS battery FAILED")  # sent again: nothing new
    zabbix(site, 1001, 0, name="UPS on battery")
    ticket = site.the_ticket()
    assert ticket["open"]
    assert len(ticket["replies"]) == 3
    assert "1 other alert of this ticket still a problem" in notes(site)[-1]
    zabbix(site, 1002, 0, name="UPS battery FAILED")
    assert not site.the_ticket()["open"]


def test_zabbix_1002_ends_before_1001(site: Site) -> None:
    zabbix(site, 1001)
    zabbix(site, 1002)
    zabbix(site, 1002, 0)
    zabbix(site, 1002, 0)  # and once more, as a retry
    assert site.the_ticket()["open"]
    zabbix(site, 1001, 0)
    assert not site.the_ticket()["open"]


def test_zabbix_cancelled_ends_its_own(site: Site) -> None:
    zabbix(site, 1001)
    zabbix(site, 1002)
    lines = "EVENT.ID: 1001\nEVENT.VALUE: 1\nTRIGGER.ID: 13491\nHOST.HOST: acme.3cx.fr"
    site.run(
        "zabbix", "CL2385", "problem", f"NOTE: Escalation cancelled: action disabled.\n{lines}"
    )
    assert site.the_ticket()["open"]
    assert list(site.state["zabbix:acme.3cx.fr:13491"]["members"].popitem()[1]["open"]) == ["1002"]


def test_a_ticket_of_a_host_goes_by_occurrence_too(site: Site) -> None:
    site.configure("  group_by: host\n")
    zabbix(site, 1001)
    zabbix(site, 1002)
    site.notify(SERVICE)
    zabbix(site, 1001, 0)
    site.notify(SERVICE_OK)
    assert site.the_ticket()["open"]
    zabbix(site, 1002, 0)
    assert not site.the_ticket()["open"]


# --- A3: a volatile service -----------------------------------------------------------------------


def volatile(site: Site, number: int, output: str, *more: str) -> str:
    return site.notify(
        *(SERVICE, "SERVICEISVOLATILE=1", f"SERVICENOTIFICATIONID={number}"),
        *(f"SERVICEOUTPUT={output}", *more),
    )


@pytest.mark.short
def test_a3_each_result_of_a_volatile_service_is_a_note(site: Site) -> None:
    volatile(site, 11, "UPS on battery")
    volatile(site, 12, "RAID: disk 3 failed")
    assert "RAID: disk 3 failed" in notes(site)[-1]
    site.calls()
    volatile(site, 12, "RAID: disk 3 failed")  # another contact of the same notification
    assert "the same text again" in volatile(site, 13, "RAID: disk 3 failed")
    assert site.calls() == []
    site.notify(SERVICE_OK)
    assert not site.the_ticket()["open"]


def test_the_first_text_of_a_volatile_service_again_is_no_note(site: Site) -> None:
    volatile(site, 11, "UPS on battery")
    site.calls()
    volatile(site, 12, "UPS on battery")
    assert site.calls() == []


def test_at_most_twelve_notes_an_hour_then_one_that_counts_the_rest(site: Site) -> None:
    for number in range(20):
        volatile(site, number + 1, f"disk {number} failed")
    assert len(notes(site)) == 1 + 12
    assert "counted" in volatile(site, 99, "disk 99 failed")
    path = site.state_dir / "state.json"
    state = json.loads(path.read_text())
    (entry,) = state["tickets"].values()
    entry["results"]["since"] = "2026-01-01T00:00:00Z"  # an hour later
    path.write_text(json.dumps(state))
    volatile(site, 100, "disk 100 failed")
    assert "8 results before it were only counted" in notes(site)[-1]
    volatile(site, 101, "disk 101 failed")
    assert "counted" not in notes(site)[-1]


# --- A4: what has ended already -------------------------------------------------------------------


@pytest.mark.short
def test_a4_a_recovery_before_its_problem(site: Site) -> None:
    site.notify(SERVICE_OK)
    assert "had ended before it came" in site.notify(SERVICE)
    assert site.tickets == []


@pytest.mark.short
def test_a4_in_a_ticket_that_others_hold_open(site: Site) -> None:
    site.configure("  group_by: host\n")
    site.notify(HOST)
    site.notify(SERVICE_OK)
    assert "had ended before it came" in site.notify(SERVICE)
    assert len(notes(site)) == 1
    site.notify(HOST_UP)
    assert is_open(site) == [False]


def test_what_has_ended_takes_no_other_along(site: Site) -> None:
    """Three wait for one ticket: the first is over already, the second not."""
    site.configure("  group_by: host\n")
    site.notify(HOST)
    site.notify(SERVICE_OK)
    site.notify(HOST, code=None)
    for _ in hold(site):
        site.notify(SERVICE)
        zabbix(site, 1001)
        site.notify(SERVICE_OK)
        site.notify(SERVICE, "SERVICEDESC=CPU")
    site.run("flush")
    texts = " ".join(notes(site))
    assert "SIP trunk down" in texts
    assert "CPU" in texts


def hold(site: Site) -> Iterator[None]:
    """Another process delivers meanwhile, so that what comes is only stored."""
    from brtel_notify.delivery.lock import DrainLock

    with DrainLock(str(site.state_dir)) as ours:
        assert ours
        yield


def test_a4_zabbix_retries_an_event_that_has_ended(site: Site) -> None:
    zabbix(site, 1001)
    zabbix(site, 1001, 0)
    site.calls()
    assert "the recovery of 1001" in zabbix(site, 1001)
    assert site.calls() == []
    assert is_open(site) == [False]


def test_a4_librenms_sends_a_uid_that_has_ended(site: Site) -> None:
    librenms(site, 907, 0, id=904, timestamp="2026-11-21 18:51:07")
    assert "had ended" in librenms(site, 904)
    assert site.tickets == []


def test_equal_seconds_are_no_end(site: Site) -> None:
    site.notify(SERVICE_OK)
    site.notify(SERVICE, f"LASTSERVICESTATECHANGE={WELL}")
    assert is_open(site) == [True]


def test_the_clock_went_back_an_hour_and_it_fails(site: Site) -> None:
    site.notify(SERVICE)
    site.notify(SERVICE_OK)
    path = site.state_dir / "ended.jsonl"
    record = json.loads(path.read_text())
    record["at"] += 3600  # the recovery was captured before the clock was set back
    path.write_text(json.dumps(record) + "\n")
    earlier = f"LASTSERVICESTATECHANGE={WELL - 3000}"
    site.notify(SERVICE, earlier, f"LASTSERVICEOK={WELL - 3000}")
    assert is_open(site)[-1]


def test_the_clock_went_back_an_hour_and_it_is_well(site: Site) -> None:
    """A time that lies ahead is none: the recovery closes the ticket."""
    from time import time

    site.notify(SERVICE, f"LASTSERVICESTATECHANGE={int(time()) + 3600}")
    site.notify(SERVICE_OK, f"LASTSERVICESTATECHANGE={int(time())}")
    assert is_open(site) == [False]


def test_a_zabbix_that_counts_from_the_beginning_again(site: Site) -> None:
    zabbix(site, 1001, 1, "EVENT.DATE: 2026.11.21", "EVENT.TIME: 18:37:29")
    zabbix(site, 1001, 0, "EVENT.DATE: 2026.11.21", "EVENT.TIME: 18:37:29")
    zabbix(site, 1001, 1, "EVENT.DATE: 2099.11.22", "EVENT.TIME: 18:37:29")
    assert is_open(site)[-1]


def test_a_late_recovery_of_an_older_problem_closes_nothing(site: Site) -> None:
    later = ("LASTSERVICESTATECHANGE=1795289999", "LASTSERVICEOK=1795289999")
    site.notify(SERVICE, *later)
    assert "before the open problem began" in site.notify(SERVICE_OK)
    assert is_open(site) == [True]


def test_a_dead_problem_that_is_put_back_after_its_recovery_opens_nothing(site: Site) -> None:
    site.configure(base=CONFIG.replace("fallback: CL000001", "lookup: [hosts]"))
    site.notify(SERVICE, code=65)  # nobody owns it
    site.notify(SERVICE_OK, code=None)
    site.configure()
    site.run("queue", "retry", "--all", code=None)
    site.run("flush")
    assert site.tickets == []
    assert site.queued("dead") == []


# --- what says nothing of its occurrence ----------------------------------------------------------


def test_an_entry_of_before_takes_on_the_first_name(site: Site) -> None:
    zabbix(site, 1001)
    path = site.state_dir / "state.json"
    state = json.loads(path.read_text())
    for entry in state["tickets"].values():
        entry["members"] = {
            key: {"severity": known["severity"], "state": known["state"], "since": known["since"]}
            for key, known in entry["members"].items()
        }
    path.write_text(json.dumps(state))
    site.calls()
    zabbix(site, 1001)
    assert site.calls() == []
    close_by_hand(site)
    zabbix(site, 1010)
    assert is_open(site) == [False, True]


def test_a_hundred_icinga_services_down_and_an_unknown_one_recovers(site: Site) -> None:
    words = ("LASTSERVICESTATECHANGE=1795285944", "TIMET=1795285944")
    from brtel_notify.intake.capture import Capture
    from brtel_notify.intake.queue import Queue

    queue = Queue(str(site.state_dir))
    for number in range(100):
        variables = {
            "ICINGA_NOTIFICATIONTYPE": "PROBLEM",
            "ICINGA_HOSTNAME": "acme.3cx.fr",
            "ICINGA_SERVICEDESC": f"line {number}",
            "ICINGA_SERVICESTATE": "CRITICAL",
            "ICINGA__HOSTCUSTOMER_ACCOUNT": "CL2385",
            "ICINGA_LASTSERVICESTATECHANGE": "1795285944",
        }
        queue.add(Capture("icinga", variables, [], "", 1795285945.0 + number / 1000))
    site.run("flush")
    assert is_open(site) == [True] * 100
    icinga(site, "RECOVERY", "line 100", "OK", *words)
    assert is_open(site) == [True] * 100
    icinga(site, "RECOVERY", "line 7", "OK", "LASTSERVICESTATECHANGE=1795285950")
    assert is_open(site).count(False) == 1


# --- rule 7: notes, also on the one that was just closed ------------------------------------------


@pytest.mark.short
def test_zabbix_7_sends_the_closing_comment_after_the_recovery(site: Site) -> None:
    zabbix(site, 1001)
    zabbix(site, 1001, 0)
    more = ("EVENT.UPDATE.MESSAGE: carrier called", "USER.FULLNAME: Jo", "EVENT.VALUE: 0")
    said = update(site, 1001, "acknowledged, commented and closed", *more)
    assert "acknowledgement noted" in said
    assert "carrier called" in notes(site)[-1]
    assert is_open(site) == [False]
    site.calls()
    update(site, 1001, "acknowledged, commented and closed", *more)  # once
    assert site.calls() == []


def test_resolved_in_queue_goes_by_occurrence(site: Site) -> None:
    site.configure("lifecycle: {resolved_in_queue: skip}\n")
    site.sandbox.faults(fail={"status": 503, "next": 1})
    for number, value in ((1001, 1), (1002, 1), (1001, 0)):
        zabbix(site, number, value)
    site.run("flush", "--force")
    assert is_open(site) == [True]


def member(site: Site) -> Dict[str, Any]:
    (entry,) = site.state.values()
    known: Optional[Dict[str, Any]] = next(iter(entry["members"].values()), None)
    assert known is not None
    return known


def test_the_map_shows_which_occurrence_it_is(site: Site) -> None:
    site.notify(SERVICE)
    assert (member(site)["occurrence"], member(site)["by"]) == (str(FAILED), "LASTSERVICEOK")


def test_the_end_of_flapping_is_told_once(site: Site) -> None:
    site.notify(SERVICE)
    ends = ("NOTIFICATIONTYPE=FLAPPINGSTOP", f"LASTSERVICESTATECHANGE={WELL}")
    site.notify(SERVICE_OK, *ends)
    assert is_open(site) == [False]
    site.calls()
    site.notify(SERVICE_OK, *ends)  # another contact
    assert site.calls() == []


def test_the_end_of_flapping_is_told_once_where_others_hold_the_ticket(site: Site) -> None:
    site.configure("  group_by: host\n")
    site.notify(HOST)
    site.notify(SERVICE)
    ends = ("NOTIFICATIONTYPE=FLAPPINGSTOP", f"LASTSERVICESTATECHANGE={WELL}")
    site.notify(SERVICE_OK, *ends)
    site.calls()
    site.notify(SERVICE_OK, *ends)  # another contact
    assert site.calls() == []
