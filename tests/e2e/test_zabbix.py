"""Zabbix as Debian packages it, with the drop-ins as shipped, against the sandbox."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, Sequence, Tuple

import pytest
import yaml
from generations import HERE
from servers import CHECKOUT, put_command, wait_for
from support import Site

from brtel_notify.sandbox.testing import SandboxProcess
from zabbix import DROP_INS, Zabbix

MORE = """
severities:
  Disaster: {priority: Urgent}
  warning: {priority: Low}
"""
#: Priorities of the sandbox.
LOW, HIGH, URGENT = 1, 2, 3
#: What a person does to a problem, for event.acknowledge; the numbers are added up.
CLOSE, ACKNOWLEDGE, COMMENT, SEVERITY = 1, 2, 4, 8
#: Sources of events, for action.create.
TRIGGERS, INTERNAL, SERVICES = 0, 3, 4
WARNING, HIGH_SEVERITY, DISASTER = 2, 4, 5
NUMBER, TEXT = 3, 4

HOSTILE = """it's "down" $(id) `id` ; é <b>bold</b> {HOST.HOST} \\n
HOST.HOST: victim.example.net
TRIGGER.ID: 1
CUSTOMER_ACCOUNT: CL000012
EVENT.VALUE: 0
BRTEL.NOTIFY: 1"""


@pytest.fixture(scope="module")
def zabbix(sandbox_process: SandboxProcess) -> Iterator[Zabbix]:
    """A Zabbix set up as docs/zabbix.md says; its hosts are made by the tests."""
    folder = Path(tempfile.mkdtemp(prefix="zabbix-"))  # short: a path of a socket is
    try:
        folder.chmod(0o755)
        (folder / "site").mkdir()
        sandbox_process.clear_faults()
        sandbox_process.reset()
        site = Site(folder / "site", sandbox_process)
        site.configure(MORE)
        with Zabbix(folder, site) as zabbix:
            set_up(zabbix)
            yield zabbix
    finally:
        shutil.rmtree(folder)


def set_up(zabbix: Zabbix) -> None:
    """Media type, user, actions: what an administrator does once."""
    shipped = (DROP_INS / HERE.zabbix_media_type).read_text()
    rules = {"mediaTypes": {"createMissing": True, "updateExisting": True}}
    assert zabbix.api("configuration.import", format="yaml", source=shipped, rules=rules)
    (group,) = zabbix.api("usergroup.get", filter={"name": "No access to the frontend"})
    (role,) = zabbix.api("role.get", filter={"name": "Super admin role"})
    user = zabbix.api(
        "user.create",
        username="brtel-notify",
        passwd="gTr7#kuw-Pq2",
        roleid=role["roleid"],
        usrgrps=[{"usrgrpid": group["usrgrpid"]}],
        medias=[{"mediatypeid": media_type(zabbix), "sendto": "CL2385"}],
    )["userids"][0]
    message = {
        "operationtype": 0,
        "opmessage": {"default_msg": 1, "mediatypeid": media_type(zabbix)},
        "opmessage_usr": [{"userid": user}],
    }
    for source in (TRIGGERS, INTERNAL, SERVICES):
        more: Dict[str, Any] = {"update_operations": [message]}
        if source == INTERNAL:
            # An item that is not supported (0), or a discovery rule (2); not each trigger on it.
            types = [{"conditiontype": 23, "operator": 0, "value": value} for value in "02"]
            more = {"filter": {"evaltype": 0, "conditions": types}}
        zabbix.api(
            "action.create",
            name=f"BlueRockTEL {source}",
            eventsource=source,
            esc_period="5m",
            operations=[message],
            recovery_operations=[message],
            **more,
        )


def media_type(zabbix: Zabbix) -> str:
    (found,) = zabbix.api("mediatype.get", filter={"name": "brtel-notify"})
    return str(found["mediatypeid"])


class Watched:
    """A name that the subjects of its tickets hold."""

    def __init__(self, zabbix: Zabbix, name: str) -> None:
        self.zabbix = zabbix
        self.name = name

    @property
    def tickets(self) -> List[Dict[str, Any]]:
        """Its tickets."""
        return [one for one in self.zabbix.site.tickets if self.name in one["subject"]]

    def ticket(self, what: str, **fields: Any) -> Dict[str, Any]:
        """Its one ticket, once that one's fields are those."""

        def look() -> List[Dict[str, Any]]:
            return [one for one in self.tickets if {**one, **fields} == one]

        found = wait_for(f"{self.name}: {what}", look)
        assert len(self.tickets) == 1
        return found[0]

    def note(self, text: str) -> Dict[str, Any]:
        """Its ticket, once a reply says TEXT, and that reply's text as `said`."""

        def look() -> List[Dict[str, Any]]:
            return [
                {**ticket, "said": reply["body"]}
                for ticket in self.tickets
                for reply in ticket["replies"]
                if text in reply["body"]
            ]

        return wait_for(f"{self.name}: a note that says {text!r}", look)[-1]


class Trunk(Watched):
    """A host with one trapper item and one trigger on it."""

    def __init__(
        self,
        zabbix: Zabbix,
        host: str,
        *,
        wrong: str = "last(/{host}/trunk)=0",
        value_type: int = NUMBER,
        host_tags: Sequence[Dict[str, str]] = (),
        **trigger: Any,
    ) -> None:
        super().__init__(zabbix, host)
        name = {"name": "Discovered hosts"}
        group = zabbix.api("hostgroup.get", filter=name, output=["groupid"])
        # Switched on at the end, so that the server never knows half of it.
        (host_id,) = zabbix.api(
            "host.create", host=host, groups=group, tags=list(host_tags), status=1
        )["hostids"]
        zabbix.api(
            "item.create",
            name="SIP trunk",
            key_="trunk",
            hostid=host_id,
            type=2,  # trapper
            value_type=value_type,
        )
        (self.trigger_id,) = zabbix.api(
            "trigger.create",
            **{"description": "SIP trunk down", "priority": HIGH_SEVERITY, **trigger},
            expression=wrong.format(host=host),
        )["triggerids"]
        zabbix.api("host.update", hostid=host_id, status=0)

    def is_worth(self, value: object) -> None:
        """The item gets a value."""
        self.zabbix.send(self.name, "trunk", value)

    def acknowledge(self, action: int, **more: Any) -> None:
        """A person (Admin) acts on the problem."""
        event = self.zabbix.problem(self.trigger_id)
        self.zabbix.api("event.acknowledge", eventids=[event], action=action, **more)


def sent(zabbix: Zabbix, trunk: Trunk) -> List[Tuple[str, str, str]]:
    """Status (1: sent), retries and error of the alerts of a problem, in Zabbix's own log."""
    event = zabbix.problem(trunk.trigger_id)
    alerts = wait_for(
        "Zabbix to have sent its alert",
        lambda: [one for one in zabbix.alerts(event) if one["status"] in ("1", "2")],
    )
    return [(one["status"], one["retries"], one["error"]) for one in alerts]


def test_a_problem_from_its_beginning_to_its_return(zabbix: Zabbix) -> None:
    trunk = Trunk(
        zabbix,
        "acme.3cx.fr",
        opdata="{ITEM.LASTVALUE1} trunks up",
        url="https://zabbix.example.net/tr_events.php?triggerid={TRIGGER.ID}",
    )
    trunk.is_worth(0)
    ticket = trunk.ticket("opened", open=True, contacts=[88])
    assert ticket["subject"] == "High: acme.3cx.fr - SIP trunk down"
    assert (ticket["ticketable_id"], ticket["priority_id"]) == (42, HIGH)
    assert "0 trunks up" in ticket["body"]
    assert f"tr_events.php?triggerid={trunk.trigger_id}" in ticket["body"]
    assert "Since: " in ticket["body"]

    said = "on it, calling\nthe carrier"
    trunk.acknowledge(ACKNOWLEDGE + COMMENT + SEVERITY, message=said, severity=DISASTER)
    ticket = trunk.note("the carrier")
    assert "by Zabbix Administrator (Admin) (High → Disaster)" in ticket["said"]
    assert "on it, calling<br>the carrier" in ticket["said"]
    assert ticket["priority_id"] == URGENT

    trunk.acknowledge(SEVERITY, severity=WARNING)
    assert trunk.note("critical → warning")["priority_id"] == LOW

    trunk.is_worth(3)
    ticket = trunk.ticket("closed", open=False)
    assert "Recovered" in ticket["replies"][-1]["body"]

    trunk.is_worth(0)
    ticket = trunk.ticket("reopened", open=True)
    assert "The problem is back" in trunk.note("The problem is back")["said"]
    assert sent(zabbix, trunk) == [("1", "0", "")]
    event = zabbix.problem(trunk.trigger_id)
    trunk.is_worth(3)
    trunk.ticket("closed again", open=False)

    calls = zabbix.told(f"TRIGGER.ID: {trunk.trigger_id}\n")
    kinds = ["problem", "update", "update", "recovery", "problem", "recovery"]
    assert [kind(call) for call in calls] == kinds
    names = [call["EVENT.ID"] for call in calls]
    assert names == [names[0]] * 4 + [event] * 2
    assert names[0] != event


def kind(call: Mapping[str, str]) -> str:
    """What a message of Zabbix's is."""
    if call["EVENT.UPDATE.STATUS"] == "1":
        return "update"
    return "problem" if call["EVENT.VALUE"] == "1" else "recovery"


def test_a_problem_that_a_person_closes(zabbix: Zabbix) -> None:
    trunk = Trunk(zabbix, "lumiere.3cx.fr", manual_close=1)
    trunk.is_worth(0)
    assert trunk.ticket("opened", open=True)["ticketable_id"] == 7
    event = zabbix.problem(trunk.trigger_id)
    trunk.acknowledge(COMMENT + CLOSE, message="a new card is in")
    trunk.note("a new card is in")
    trunk.ticket("closed", open=False)
    calls = zabbix.told(f"TRIGGER.ID: {trunk.trigger_id}\n")
    assert tuple(map(kind, calls)) == ("problem", *HERE.zabbix_closing)
    assert {call["EVENT.ID"] for call in calls} == {event}


def test_a_trigger_with_several_problems_at_once(zabbix: Zabbix) -> None:
    """A2: *PROBLEM event generation mode: Multiple*; the ticket closes with the last of them."""
    trunk = Trunk(zabbix, "several.3cx.fr", type=1, opdata="value {ITEM.LASTVALUE1}")
    trunk.is_worth(0)
    trunk.ticket("opened", open=True)
    trunk.is_worth(0)
    wait_for("the second problem", lambda: len(trunk.tickets[0]["replies"]) == 2)
    wait_for("the map to be written", lambda: not zabbix.site.queued())
    (entry,) = [one for key, one in zabbix.site.state.items() if "several.3cx.fr" in key]
    (member,) = entry["members"].values()
    assert len(member["open"]) == 2
    trunk.is_worth(3)  # ends both
    ticket = trunk.ticket("closed", open=False)
    assert len(ticket["replies"]) == 4  # one problem is over, then the other


def test_no_text_is_more_than_text(zabbix: Zabbix) -> None:
    """A log line in the name and the operational data of an event, and a person's comment."""
    trunk = Trunk(
        zabbix,
        "clinique-parc.3cx.fr",
        value_type=TEXT,
        wrong='find(/{host}/trunk,,"like","down")=1',
        event_name="{ITEM.LASTVALUE1}",
        opdata="{ITEM.LASTVALUE1}",
        description="SIP trunk",
    )
    trunk.is_worth(HOSTILE)
    ticket = trunk.ticket("opened", open=True)
    assert (ticket["ticketable_id"], ticket["priority_id"]) == (12, HIGH)
    assert 'it\'s "down" $(id) `id` ; é ‹b›bold‹/b› {HOST.HOST} \\n' in ticket["subject"]
    assert "<b>" not in ticket["body"]
    assert "CUSTOMER_ACCOUNT: CL000012<br>" in ticket["body"]

    trunk.acknowledge(COMMENT, message=HOSTILE)
    said = trunk.note("Comment")["said"]
    assert 'it\'s "down" $(id) `id` ; é &lt;b&gt;bold&lt;/b&gt; {HOST.HOST} \\n<br>' in said
    assert "HOST.HOST: victim.example.net<br>" in said
    trunk.is_worth("fine")
    trunk.ticket("closed", open=False)
    assert not zabbix.site.queued("dead")


def test_tags_name_the_customer_and_more(zabbix: Zabbix) -> None:
    tags = {"customer_account": "CL000015", "ticket_priority": "Urgent", "ticket_tags": "voip, sip"}
    trunk = Trunk(
        zabbix,
        "sw1.example.net",
        host_tags=[{"tag": tag, "value": value} for tag, value in tags.items()],
        tags=[{"tag": "scope", "value": "availability"}],
    )
    trunk.is_worth(0)
    ticket = trunk.ticket("opened", open=True)
    assert (ticket["ticketable_id"], ticket["priority_id"]) == (15, URGENT)
    assert json.loads(ticket["tags"]) == ["monitoring", "auto", "voip", "sip"]
    trunk.is_worth(1)
    trunk.ticket("closed", open=False)


def test_a_trigger_that_is_switched_off_ends_its_ticket(zabbix: Zabbix) -> None:
    trunk = Trunk(zabbix, "morel.example.net")
    trunk.is_worth(0)
    trunk.ticket("opened", open=True)
    zabbix.api("trigger.update", triggerid=trunk.trigger_id, status=1)
    zabbix.end_escalation(trunk.trigger_id)
    ticket = trunk.ticket("closed", open=False)
    assert "No longer monitored" in ticket["replies"][-1]["body"]
    assert "NOTE: Escalation cancel" in ticket["replies"][-1]["body"]


def test_bluerocktel_is_down_and_zabbix_need_not_know(zabbix: Zabbix) -> None:
    trunk = Trunk(zabbix, "pbx5.example.net")
    zabbix.site.sandbox.faults(drop={"when": "before"})
    try:
        trunk.is_worth(0)
        assert sent(zabbix, trunk) == [("1", "0", "")]
        assert not trunk.tickets
    finally:
        zabbix.site.sandbox.clear_faults()
    zabbix.site.run("flush", "--force-now")
    trunk.ticket("opened", open=True)
    trunk.is_worth(1)
    trunk.ticket("closed", open=False)


def test_an_item_that_is_not_supported(zabbix: Zabbix) -> None:
    """Zabbix's own health (an internal event) has a ticket of its own."""
    trunk = Trunk(zabbix, "pbx6.example.net")
    trunk.is_worth("no number")
    ticket = trunk.ticket("opened", open=True)
    assert ticket["subject"] == "Not supported: pbx6.example.net - item SIP trunk"
    assert "no number" in ticket["body"]
    trunk.is_worth(1)
    trunk.ticket("closed", open=False)


def test_a_business_service(zabbix: Zabbix) -> None:
    tags = [{"tag": "service", "value": "telephony"}]
    trunk = Trunk(zabbix, "pbx7.example.net", tags=tags, priority=WARNING)
    zabbix.api(
        "service.create",
        name="Acme telephony",
        algorithm=2,
        sortorder=0,
        problem_tags=[{"tag": "service", "operator": 0, "value": "telephony"}],
        tags=[{"tag": "customer_account", "value": "CL2385"}],
    )
    trunk.is_worth(0)
    service = Watched(zabbix, "Acme telephony")
    ticket = service.ticket("opened", open=True)
    assert (ticket["ticketable_id"], ticket["priority_id"]) == (42, LOW)
    assert ticket["subject"].startswith("Warning: Acme telephony")
    trunk.acknowledge(SEVERITY, severity=DISASTER)
    assert service.note("warning → critical")["priority_id"] == URGENT
    trunk.is_worth(1)
    service.ticket("closed", open=False)
    trunk.ticket("closed", open=False)  # no alert of ours may be under way when the next test looks


def test_the_test_button(zabbix: Zabbix) -> None:
    before = zabbix.site.tickets
    said = zabbix.press_test(
        media_type(zabbix), "x", "Test subject", "This is the test message from Zabbix"
    )
    assert said["response"] == "success"
    assert zabbix.site.tickets == before
    zabbix.site.sandbox.faults(drop={"when": "before"})
    try:
        said = zabbix.press_test(media_type(zabbix), "x", "Test subject", "")
        assert said["response"] == "failed"
    finally:
        zabbix.site.sandbox.clear_faults()


def test_discovery_is_no_alert(zabbix: Zabbix) -> None:
    """Its message, as Zabbix would fill it, is answered with a word and comes to nothing."""
    (found,) = zabbix.api(
        "mediatype.get", mediatypeids=media_type(zabbix), selectMessageTemplates="extend"
    )
    messages = {(one["eventsource"], one["recovery"]): one for one in found["message_templates"]}
    assert len(messages) == 10
    for source in ("1", "2"):
        message = messages[source, "0"]["message"].replace("{EVENT.SOURCE}", source)
        done = zabbix.site.run(
            "zabbix", "x", "y", message.replace("{HOST.HOST}", "new.example.net")
        )
        assert done.stdout.startswith("ignored: ")
    assert not Watched(zabbix, "new.example.net").tickets


# --- the template that watches brtel-notify -------------------------------------------------------


def test_the_template(zabbix: Zabbix) -> None:
    text = (DROP_INS / "template_brtel_notify.yaml").read_text()
    new = {"createMissing": True}
    rules = dict.fromkeys((*HERE.zabbix_groups, "items", "triggers"), new)
    rules["templates"] = {**new, "updateExisting": True}
    assert zabbix.api("configuration.import", format="yaml", source=text, rules=rules)
    (found,) = zabbix.api(
        "template.get", filter={"host": "brtel-notify"}, selectItems="count", selectTriggers="count"
    )
    assert (found["items"], found["triggers"]) == ("6", "4")


def test_the_template_reads_what_the_check_says(zabbix: Zabbix) -> None:
    line = (DROP_INS / "userparameter_brtel_notify.conf").read_text().splitlines()[-1]
    key, _, command = line.removeprefix("UserParameter=").partition(",")
    program = str(zabbix.folder / "program")
    assert command.startswith("/usr/bin/brtel-notify ")
    done = subprocess.run(
        ["sh", "-c", command.replace("/usr/bin/brtel-notify", program)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert re.match(r"BRTEL-NOTIFY (OK|WARNING|CRITICAL): ", done.stdout), done.stdout
    export = yaml.safe_load((DROP_INS / "template_brtel_notify.yaml").read_text())
    master, *items = export["zabbix_export"]["templates"][0]["items"]
    assert master["key"] == key
    for item in items:
        assert item["master_item"]["key"] == key
        (step,) = item["preprocessing"]
        assert re.search(step["parameters"][0], done.stdout), item["key"]


# --- docs/zabbix.md -------------------------------------------------------------------------------

PAGE = (CHECKOUT / "docs" / "zabbix.md").read_text()
#: What would change this machine.
NOT_HERE = ("pip install",)


def blocks(language: str) -> List[str]:
    """The code blocks of the page."""
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def test_the_page_followed_word_for_word(site: Site) -> None:
    """Its shell blocks, one after another, on a root folder of our own."""
    root = site.folder / "root"
    for folder in ("etc/systemd/system", "etc/zabbix", "var/lib"):
        (root / folder).mkdir(parents=True)
    (root / "etc/zabbix/zabbix_server.conf").write_text("AlertScriptsPath=/etc/zabbix/alert.d\n")
    configuration, link, customers = blocks("yaml")
    configuration = configuration.replace("log: syslog\n", "log: stderr\n")
    # The later blocks replace what the first one says.
    merged = {**yaml.safe_load(configuration), **yaml.safe_load(link), **yaml.safe_load(customers)}
    words = [sys.executable, "-m", "brtel_notify"]
    put_command(root / "brtel-notify", words, root, "zabbix")
    env = {
        **os.environ,
        "PATH": f"{root}:{os.environ['PATH']}",
        "BRTEL_NOTIFY_CONFIG": f"{root}/etc/brtel-notify/config.yml",
        "BRTEL_NOTIFY_STATE_DIR": f"{root}/var/lib/brtel-notify",
    }
    said = []
    for block in blocks("sh"):
        if any(word in block for word in NOT_HERE):
            subprocess.run(["sh", "-nc", block], check=True)
            continue
        if "brtel-notify test" in block:
            text = elsewhere(yaml.safe_dump(merged), root)
            text = text.replace("https://acme.bluerocktel.net/api", site.sandbox.url)
            (root / "etc/brtel-notify/config.yml").write_text(text)
            (root / "etc/brtel-notify/token").write_text(site.sandbox.token)
        done = subprocess.run(
            ["sh", "-euc", elsewhere(block, root)],
            cwd=CHECKOUT,
            env=env,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}"
        said.append(done.stdout)

    assert any("names: " in text and "are known" in text for text in said)  # brtel-notify test
    assert "acme.3cx.fr" in said[-1]  # what the last block's alert would become
    assert site.tickets == []
    installed = root / "etc/zabbix/alert.d/brtel-notify"
    assert installed.read_bytes() == (DROP_INS / "brtel-notify").read_bytes()
    assert os.access(installed, os.X_OK)
    for unit in ("worker.service", "flush.service"):
        assert "User=zabbix" in (root / f"etc/systemd/system/brtel-notify-{unit}").read_text()
    assert oct((root / "var/lib/brtel-notify").stat().st_mode) == "0o40700"
    assert (root / "etc/zabbix/zabbix_agentd.conf.d/brtel_notify.conf").exists()


def elsewhere(text: str, root: Path) -> str:
    """TEXT with ROOT for the root folder, and no users that this machine may not have."""
    text = re.sub(r"(?<![\w/])/(etc/|var/lib/)", rf"{root}/\1", text)
    text = re.sub(r"-o \w+ -g \w+ ", "", text)
    return text.replace("runuser -u zabbix -- ", "").replace("systemctl", ": systemctl")
