"""``brtel-notify install``: the drop-ins where the systems read them, on a machine of our own.

The machine is a folder (``--root``). What needs root (owners, real users) is tested where the tests
run as root.
"""

from __future__ import annotations

import grp
import json
import os
import pwd
import shlex
import shutil
import stat
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Sequence, Tuple

import pytest
from support import Site, load_capture

from brtel_notify.local import shipped_files

COMMAND = os.path.join(os.path.dirname(sys.executable), "brtel-notify")
IS_ROOT = os.geteuid() == 0
root_only = pytest.mark.skipif(not IS_ROOT, reason="only root gives files away")

#: What each system's package leaves on a machine, and where its drop-in belongs.
MACHINES: Dict[str, Tuple[Dict[str, str], str]] = {
    "librenms": (
        {"opt/librenms/LibreNMS/Alert/Transport/Mail.php": "<?php"},
        "opt/librenms/LibreNMS/Alert/Transport/Bluerocktel.php",
    ),
    "nagios": (
        {
            "etc/nagios4/nagios.cfg": "cfg_dir=/etc/nagios4/conf.d\nenable_environment_macros=0\n",
            "etc/nagios4/conf.d/x.cfg": "",
        },
        "etc/nagios4/conf.d/brtel-notify.cfg",
    ),
    "icinga": (
        {
            "etc/icinga2/icinga2.conf": 'include_recursive "conf.d"\n',
            "etc/icinga2/conf.d/hosts.conf": "",
        },
        "etc/icinga2/conf.d/brtel-notify-icinga2.conf",
    ),
    "zabbix": (
        {"etc/zabbix/zabbix_server.conf": "AlertScriptsPath=/etc/zabbix/alert.d/\n"},
        "etc/zabbix/alert.d/brtel-notify",
    ),
}
SHIPPED = {
    "librenms": "librenms/Bluerocktel.php",
    "nagios": "nagios/brtel-notify.cfg",
    "icinga": "nagios/brtel-notify-icinga2.conf",
    "zabbix": "zabbix/brtel-notify",
}
USERS = {"librenms": 901, "nagios": 902, "zabbix": 903}


class Machine:
    """A root folder with monitoring systems in it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir()
        self.write("etc/passwd", "root:x:0:0::/root:/bin/sh\n")
        self.write("etc/group", "root:x:0:\n")
        (root / "var/lib").mkdir(parents=True)

    def write(self, path: str, text: str) -> Path:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    def has(self, *systems: str) -> None:
        """The machine has these systems, and their users."""
        for system in systems:
            for path, text in MACHINES[system][0].items():
                self.write(path, text)
            user = "nagios" if system == "icinga" else system
            for file, end in (("etc/passwd", "::/:/sbin/nologin"), ("etc/group", "")):
                known = (self.root / file).read_text()
                number = USERS[user]
                line = f"{user}:x:{number}:{number if end else ''}{end}\n"
                if line not in known:
                    self.write(file, known + line)

    def group(self, name: str, number: int, *members: str) -> None:
        file = self.root / "etc/group"
        file.write_text(f"{file.read_text()}{name}:x:{number}:{','.join(members)}\n")

    def install(self, *words: str, code: int = 0) -> str:
        """Run the command; what it said."""
        return install(*words, "--root", str(self.root), code=code)

    def state(self) -> Dict[str, Tuple[bytes, int]]:
        """Every file of the machine, its content and mode."""
        return {
            str(path): (path.read_bytes(), stat.S_IMODE(path.stat().st_mode))
            for path in self.root.rglob("*")
            if path.is_file()
        }

    def steps(self, *words: str) -> str:
        """What is left to do after the command."""
        return self.install(*words).partition("left to do:")[2]


def install(*words: str, code: int = 0, before: Sequence[str] = ()) -> str:
    """Run `brtel-notify install`; what it said on both streams."""
    line = [sys.executable, "-m", "brtel_notify", *before, "install", *words]
    done = subprocess.run(line, capture_output=True, text=True, check=False, cwd="/")
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def run(*words: str, **more: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, capture_output=True, text=True, check=False, cwd="/", **more)


def as_user(user: str, *words: str) -> Optional[subprocess.CompletedProcess[str]]:
    """Run a command as a daemon of USER, started just now, would; None if it may not run it."""
    entry = pwd.getpwnam(user)
    groups = os.getgrouplist(user, entry.pw_gid)
    try:
        return run(*words, user=entry.pw_uid, group=entry.pw_gid, extra_groups=groups)
    except PermissionError:
        return None


def text_of(name: str) -> str:
    folder, _, file = name.partition("/")
    return Path(shipped_files.folder(folder), file).read_text()


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def owner_of(path: Path) -> Tuple[int, int]:
    return path.stat().st_uid, path.stat().st_gid


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path / "root")


# --- the files ------------------------------------------------------------------------------------


@pytest.mark.short
@pytest.mark.parametrize("system", sorted(MACHINES))
def test_the_drop_in_lies_where_its_system_reads_it(machine: Machine, system: str) -> None:
    machine.has(system)
    path = machine.root / MACHINES[system][1]
    said = machine.install(system)

    assert f"put: /{MACHINES[system][1]}" in said
    assert path.read_text() == text_of(SHIPPED[system]).replace("/usr/bin/brtel-notify", COMMAND)
    assert mode_of(path) == (0o755 if system == "zabbix" else 0o644)
    steps = said.partition("left to do:")[2].strip().splitlines()
    assert len(steps) >= 3
    assert [step.strip().partition(".")[0] for step in steps] == [
        str(number) for number in range(1, len(steps) + 1)
    ]
    assert f"{COMMAND} test" in steps[-1]

    before = machine.state()
    assert f"already there: /{MACHINES[system][1]}" in machine.install(system)
    assert machine.state() == before


@pytest.mark.parametrize("system", sorted(MACHINES))
def test_a_file_that_somebody_changed_is_not_replaced(machine: Machine, system: str) -> None:
    machine.has(system)
    machine.install(system)
    path = machine.root / MACHINES[system][1]
    good = path.read_text()
    path.write_text(good + "# mine\x1b[2J\n")
    before = machine.state()

    said = machine.install(system, code=73)
    assert "-# mine" in said
    assert "\x1b" not in said
    assert f"/{MACHINES[system][1]}: is there, and differs: --force replaces it" in said
    assert machine.state() == before

    machine.install(system, "--force")
    assert path.read_text() == good


def test_a_script_that_cannot_be_run_is_mended(machine: Machine) -> None:
    machine.has("zabbix")
    machine.install("zabbix")
    script = machine.root / MACHINES["zabbix"][1]
    script.chmod(0o644)
    machine.install("zabbix")
    assert mode_of(script) == 0o755


def test_a_dry_run_changes_nothing(machine: Machine) -> None:
    machine.has(*MACHINES)
    machine.write("etc/systemd/system/x.service", "")
    before = machine.state()
    for system in (*MACHINES, "systemd"):
        extra = ["--user", "nagios"] if system == "systemd" else []
        assert "would put: " in machine.install(system, "--dry-run", *extra)
    assert machine.state() == before
    assert not (machine.root / "var/lib/brtel-notify").exists()


def test_no_file_is_left_half_written(machine: Machine) -> None:
    machine.has("nagios")
    machine.install("nagios")
    found = sorted(path.name for path in (machine.root / "etc/nagios4/conf.d").iterdir())
    assert found == ["brtel-notify.cfg", "x.cfg"]


@pytest.mark.parametrize("system", sorted(MACHINES))
def test_print_prints_the_file_alone(tmp_path: Path, system: str) -> None:
    said = install(system, "--print", "--root", str(tmp_path))
    assert said == text_of(SHIPPED[system]).replace("/usr/bin/brtel-notify", COMMAND)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("system", "file"),
    [
        ("icinga", "nagios/brtel-notify-director-basket.json"),
        ("zabbix", "zabbix/media_brtel_notify.yaml"),
        ("zabbix", "zabbix/media_brtel_notify_7.0.yaml"),
        ("zabbix", "zabbix/template_brtel_notify.yaml"),
        ("zabbix", "zabbix/userparameter_brtel_notify.conf"),
    ],
)
def test_the_other_files_of_a_system(tmp_path: Path, system: str, file: str) -> None:
    name = os.path.basename(file)
    said = install(system, "--file", name, "--print")
    assert said == text_of(file).replace("/usr/bin/brtel-notify", COMMAND)
    assert "add --print, or --dest" in install(system, "--file", name, code=2)
    install(system, "--file", name, "--dest", str(tmp_path))
    assert (tmp_path / name).read_text() == said
    assert mode_of(tmp_path / name) == 0o644


def test_the_usual_path_is_used_where_the_command_is_there(machine: Machine) -> None:
    machine.has("zabbix")
    machine.write("usr/bin/brtel-notify", "")
    machine.install("zabbix")
    script = machine.root / MACHINES["zabbix"][1]
    assert script.read_text() == text_of("zabbix/brtel-notify")


def test_dest_is_a_folder_or_a_file(tmp_path: Path) -> None:
    wanted = text_of("nagios/brtel-notify.cfg").replace("/usr/bin/brtel-notify", COMMAND)
    said = install("nagios", "--dest", str(tmp_path))
    assert "--user NAME" in said
    assert (tmp_path / "brtel-notify.cfg").read_text() == wanted
    install("nagios", "--dest", str(tmp_path / "other.cfg"))
    assert (tmp_path / "other.cfg").read_text() == wanted
    assert "No such file" in install("nagios", "--dest", str(tmp_path / "no/x.cfg"), code=73)
    assert "must be a folder" in install(
        "systemd", "--user", "root", "--dest", str(tmp_path / "x"), code=73
    )


def test_anybody_may_use_dest_and_print() -> None:
    folder = Path(tempfile.mkdtemp(prefix="brtel-dest-"))
    folder.chmod(0o777)
    words = [sys.executable, "-m", "brtel_notify", "install", "nagios"]
    try:
        for more in (["--dest", str(folder)], ["--print"]):
            done = as_user("nobody", *words, *more) if IS_ROOT else run(*words, *more)
            if done is None:
                pytest.skip("nobody may not run this Python")
            assert done.returncode == 0, done.stderr
        assert mode_of(folder / "brtel-notify.cfg") == 0o644
    finally:
        shutil.rmtree(folder)


def test_who_may_not_write_there_is_told_so(machine: Machine) -> None:
    machine.has("nagios")
    folder = machine.root / "etc/nagios4/conf.d"
    folder.chmod(0o555)
    if IS_ROOT:
        pytest.skip("root may write everywhere")
    assert "Permission denied" in machine.install("nagios", code=73)


# --- links ----------------------------------------------------------------------------------------


def test_it_writes_through_no_link(machine: Machine, tmp_path: Path) -> None:
    machine.has("nagios")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("precious")
    (machine.root / MACHINES["nagios"][1]).symlink_to(elsewhere)
    for force in ([], ["--force"]):
        assert "is a symbolic link" in machine.install("nagios", *force, code=73)
    assert elsewhere.read_text() == "precious"


@root_only
def test_nor_through_a_strangers_link_on_the_way(machine: Machine, tmp_path: Path) -> None:
    machine.has("nagios")
    folder, elsewhere = machine.root / "etc/nagios4/conf.d", tmp_path / "elsewhere"
    folder.rename(elsewhere)
    folder.symlink_to(elsewhere)
    machine.install("nagios")  # the administrator's own link
    assert (elsewhere / "brtel-notify.cfg").is_file()

    (elsewhere / "brtel-notify.cfg").unlink()
    os.lchown(folder, 65534, 65534)
    assert "belongs to somebody else" in machine.install("nagios", code=73)
    assert not (elsewhere / "brtel-notify.cfg").exists()


@root_only
def test_the_file_is_the_folders_owners(machine: Machine) -> None:
    machine.has("librenms")
    path = machine.root / MACHINES["librenms"][1]
    os.chown(path.parent, 901, 901)
    machine.install("librenms")
    assert owner_of(path) == (901, 901)


# --- where ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("etc", "main", "folder", "service"),
    [
        ("etc/nagios", "nagios.cfg", "conf.d", "nagios"),
        ("etc/naemon", "naemon.cfg", "conf.d", "naemon"),
        ("usr/local/nagios/etc", "nagios.cfg", "objects", "nagios"),
    ],
)
def test_other_homes_of_nagios(
    machine: Machine, etc: str, main: str, folder: str, service: str
) -> None:
    machine.write(f"{etc}/{main}", f"#cfg_dir=/{etc}/{folder}\ncfg_file=/{etc}/objects/x.cfg\n")
    machine.write(f"{etc}/{folder}/x.cfg", "")
    steps = machine.steps("nagios")
    assert (machine.root / etc / folder / "brtel-notify.cfg").is_file()
    assert f"echo cfg_file=/{etc}/{folder}/brtel-notify.cfg >> /{etc}/{main}" in steps
    with_macros = service != "naemon"  # which has none
    assert (f"echo enable_environment_macros=1 >> /{etc}/{main}" in steps) is with_macros
    assert ("contact_groups +brtel-notify-arguments" in steps) is not with_macros
    assert f"systemctl restart {service}" in steps
    assert f"-v /{etc}/{main}" in steps


NAEMON = {"etc/naemon/naemon.cfg": "cfg_dir=conf.d\n", "etc/naemon/conf.d/x.cfg": ""}


def test_naemon_checks_its_configuration_as_its_own_user(machine: Machine) -> None:
    """It refuses root, also for -v; a folder in naemon.cfg may be told from where that stands."""
    for path, text in NAEMON.items():
        machine.write(path, text)
    machine.write("etc/passwd", "root:x:0:0::/root:/bin/sh\nnaemon:x:904:904::/:/bin/false\n")
    machine.write("etc/group", "root:x:0:\nnaemon:x:904:\n")
    said = machine.install("nagios", "--no-test")
    assert "put: /etc/naemon/conf.d/brtel-notify.cfg" in said
    assert "cfg_file=" not in said
    assert "Naemon has no environment macros" in said
    check = "runuser -u naemon -- naemon -v /etc/naemon/naemon.cfg"
    assert f"{check} && systemctl restart naemon" in said
    assert said.splitlines()[-1].startswith("  4. runuser -u naemon -- ")


def test_naemon_is_found_where_nagios_left_its_configuration_behind(machine: Machine) -> None:
    machine.has("nagios")
    for path, text in NAEMON.items():
        machine.write(path, text)
    assert "put: /etc/nagios4/conf.d/brtel-notify.cfg" in machine.install("nagios")
    beside = ("nagios", "--dest", "/etc/naemon/conf.d/", "--user", "root")
    assert "install nagios --dest /etc/naemon/conf.d/ --user root" in machine.install(*beside)
    machine.write("usr/bin/naemon", "")  # the package nagios4 was removed, but not purged
    assert "already there: /etc/naemon/conf.d/brtel-notify.cfg" in machine.install("nagios")


def test_whoever_asks_for_naemon_is_told_how(machine: Machine) -> None:
    said = machine.install("naemon", code=2)
    assert "Naemon takes Nagios's drop-in: brtel-notify install nagios" in said


def test_the_steps_of_nagios_can_be_followed_word_for_word(machine: Machine) -> None:
    machine.has("nagios")
    main = machine.root / "etc/nagios4/nagios.cfg"
    for text in ("enable_environment_macros=0\n", " enable_environment_macros = 0\n", ""):
        main.write_text(text)
        for line in machine.steps("nagios").splitlines():
            command = line.partition(". ")[2]
            if command.startswith(("sed ", "echo ")):
                subprocess.run(
                    ["sh", "-c", command.replace("/etc/", f"{machine.root}/etc/", 2)], check=True
                )
        lines = main.read_text().splitlines()
        assert "enable_environment_macros=1" in lines
        assert sum("cfg_file=" in line for line in lines) == 1
        main.write_text(main.read_text().replace(f"{machine.root}/", "/"))
        steps = machine.steps("nagios")
        assert "enable_environment_macros" not in steps
        assert "cfg_file" not in steps


def test_only_what_runs_here_is_found(machine: Machine) -> None:
    # EPEL's nrpe has /etc/nagios too, and Zabbix's agent /etc/zabbix.
    machine.write("etc/nagios/nrpe.cfg", "")
    machine.write("etc/zabbix/zabbix_agentd.conf", "")
    for system in MACHINES:
        said = machine.install(system, code=69)
        assert f"no {system} found (looked for /" in said
        assert "--dest FOLDER" in said


def test_a_master_of_an_icinga_cluster(machine: Machine) -> None:
    machine.has("icinga")
    machine.write("etc/icinga2/icinga2.conf", '// include_recursive "conf.d"\n')
    assert "no icinga found" in machine.install("icinga", code=69)
    machine.write("etc/icinga2/zones.d/master/x.conf", "")
    machine.install("icinga")
    assert (machine.root / "etc/icinga2/zones.d/master/brtel-notify-icinga2.conf").is_file()
    machine.write("etc/icinga2/zones.d/paris/x.conf", "")
    machine.write("etc/icinga2/constants.conf", 'const ZoneName = "paris"\n')
    machine.install("icinga")
    assert (machine.root / "etc/icinga2/zones.d/paris/brtel-notify-icinga2.conf").is_file()


@pytest.mark.parametrize(
    ("text", "folder"),
    [
        ("AlertScriptsPath=/srv/scripts\n", "srv/scripts"),
        ("# AlertScriptsPath=/no\nAlertScriptsPath=/a\nAlertScriptsPath=/b/\n", "b"),
        ("# AlertScriptsPath=${datadir}/zabbix/alertscripts\n", "usr/lib/zabbix/alertscripts"),
    ],
)
def test_where_zabbix_looks_for_scripts(machine: Machine, text: str, folder: str) -> None:
    machine.write("etc/zabbix/zabbix_server.conf", text)
    machine.install("zabbix")
    assert mode_of(machine.root / folder / "brtel-notify") == 0o755
    assert mode_of(machine.root / folder) == 0o755


# --- the command line in them ---------------------------------------------------------------------


@pytest.mark.parametrize("system", ["nagios", "icinga", "zabbix"])
def test_options_go_along(system: str) -> None:
    before = ["--config", "/srv/b.yml", "--state-dir", "/srv/state"]
    for words in ([system, "--print", *before], [system, "--print"]):
        said = install(*words, before=[] if len(words) > 2 else before)
        if system == "icinga":
            quoted = ", ".join(f'"{word}"' for word in [COMMAND, *before, "icinga"])
            assert f"command = [ {quoted} ]" in said
        else:
            assert f"{shlex.join([COMMAND, *before])} {system}" in said
    assert install("icinga", "--file", "brtel-notify-director-basket.json", "--print", *before)


def test_the_basket_is_still_json() -> None:
    words = ["icinga", "--file", "brtel-notify-director-basket.json", "--print"]
    basket = json.loads(install(*words, before=["--config", "/srv/b.yml"]))
    assert f'"command": "{COMMAND} --config /srv/b.yml icinga"' in json.dumps(basket)


def test_librenms_is_told_of_them_in_its_form(machine: Machine) -> None:
    machine.has("librenms")
    steps = machine.steps("librenms", "--config", "/srv/b.yml", "--state-dir", "/srv/state")
    assert f"Command {COMMAND}" in steps
    assert "Configuration file /srv/b.yml" in steps
    assert "State folder /srv/state" in steps


def test_relative_options_become_whole_paths(tmp_path: Path) -> None:
    said = install("zabbix", "--print", "--config", "b.yml")
    assert "--config /b.yml zabbix" in said


@pytest.mark.parametrize("path", ["/srv/a b", "/srv/$HOME", "/srv/a;b", "/srv/a'b", '/srv/a"b'])
def test_a_path_that_a_system_would_misread_is_refused(machine: Machine, path: str) -> None:
    machine.has(*MACHINES)
    before = machine.state()
    for system in MACHINES:
        assert "use a path of letters" in machine.install(system, "--config", path, code=73)
    assert machine.state() == before


@pytest.mark.short
def test_the_alert_script_that_was_put_opens_a_ticket(site: Site) -> None:
    folder = site.folder / "alertscripts"
    folder.mkdir()
    site.run("install", "zabbix", "--dest", str(folder))
    subprocess.run([folder / "brtel-notify", *load_capture("zabbix6-problem")["argv"]], check=True)
    assert "SIP trunk down" in site.the_ticket()["subject"]


@pytest.mark.short
def test_the_nagios_command_that_was_put_opens_a_ticket(site: Site) -> None:
    site.run("install", "nagios", "--dest", f"{site.folder}/")
    text = (site.folder / "brtel-notify.cfg").read_text()
    line = next(line for line in text.splitlines() if line.strip().startswith("command_line"))
    env = {**os.environ, **load_capture("nagios4-service-problem")["env"]}
    subprocess.run(["sh", "-c", line.split(None, 1)[1]], env=env, check=True)
    assert "SIP trunk" in site.the_ticket()["subject"]


# --- users, groups, the state folder --------------------------------------------------------------


@root_only
def test_one_system_has_the_state_folder_for_itself(machine: Machine) -> None:
    machine.has("nagios")
    machine.write("etc/brtel-notify/config.yml", "").chmod(0o600)
    machine.write("etc/brtel-notify/token", "secret").chmod(0o600)
    (machine.root / "etc/brtel-notify").chmod(0o700)
    said = machine.install("nagios")
    folder = machine.root / "var/lib/brtel-notify"
    assert (mode_of(folder), owner_of(folder)) == (0o700, (902, 902))
    etc = machine.root / "etc/brtel-notify"
    assert (mode_of(etc), owner_of(etc)) == (0o750, (0, 902))
    for name in ("config.yml", "token"):
        assert (mode_of(etc / name), owner_of(etc / name)) == (0o640, (0, 902))
    assert "done: install -d -o nagios -g nagios -m 0700 /var/lib/brtel-notify" in said
    assert "done: " not in machine.install("nagios")


@root_only
def test_an_open_configuration_stays_open_and_a_token_does_not(machine: Machine) -> None:
    machine.has("nagios")
    token = machine.write("srv/token", "secret")
    text = "api: {url: https://a.example/api, token_file: /srv/token}\n"
    ticket = "ticket: {priority: High, category: X, sub_category: Y}\n"
    config = machine.write("etc/brtel-notify/config.yml", text + ticket)
    for file in (token, config):
        file.chmod(0o644)
    machine.install("nagios")
    assert (mode_of(config), mode_of(token)) == (0o644, 0o640)
    config.write_text(text.replace("token_file: /srv/token", "token: x") + ticket)
    machine.install("nagios")
    assert mode_of(config) == 0o640


@root_only
def test_who_else_can_write_the_configuration_opens_no_file_of_roots(machine: Machine) -> None:
    machine.has("nagios")
    shadow = machine.write("etc/shadow", "root:x")
    shadow.chmod(0o600)
    text = "api: {url: https://a.example/api, token_file: /etc/shadow}\n"
    text += "ticket: {priority: High, category: X, sub_category: Y}\n"
    config = machine.write("etc/brtel-notify/config.yml", text)
    os.chown(config, 902, 902)
    said = machine.install("nagios", code=73)
    assert mode_of(shadow) == 0o600
    assert "/etc/shadow: the configuration names it" in said


@root_only
def test_two_systems_share_a_group(machine: Machine) -> None:
    machine.has("nagios")
    machine.write("etc/brtel-notify/config.yml", "").chmod(0o600)
    machine.install("nagios")
    folder = machine.root / "var/lib/brtel-notify"
    for path, mode in (("queue", 0o700), ("cache", 0o700), ("cache/parsed-902", 0o700)):
        (folder / path).mkdir(mode=mode)
        os.chown(folder / path, 902, 902)
    for path in ("state.json", "queue/a.jsonl", "cache/parsed-902/x"):
        (folder / path).write_text("x")
        (folder / path).chmod(0o600)
        os.chown(folder / path, 902, 902)
    (folder / "planted").symlink_to("/etc/passwd")
    os.link(machine.root / "etc/passwd", folder / "hard")
    before = (machine.root / "etc/passwd").stat()

    # --root changes no account, so first it is only said what is missing.
    machine.has("zabbix")
    said = machine.install("zabbix")
    commands = [line.partition("as root: ")[2] for line in said.splitlines() if "as root" in line]
    assert commands[:3] == [
        "groupadd --system brtel-notify",
        "usermod -aG brtel-notify zabbix",
        "usermod -aG brtel-notify nagios",
    ]
    assert commands[3].startswith("chown root /var/lib/brtel-notify && ")
    assert "systemctl restart nagios4 zabbix-server" in said
    assert (mode_of(folder), owner_of(folder)) == (0o700, (902, 902))

    machine.group("brtel-notify", 950, "zabbix", "nagios")
    machine.install("zabbix")
    assert (mode_of(folder), owner_of(folder)) == (0o2770, (0, 950))
    assert (mode_of(folder / "queue"), owner_of(folder / "queue")) == (0o2770, (902, 950))
    for path in ("state.json", "queue/a.jsonl"):
        assert (mode_of(folder / path), owner_of(folder / path)) == (0o660, (902, 950))
    private = folder / "cache/parsed-902"
    assert (mode_of(private), owner_of(private)) == (0o700, (902, 902))
    assert mode_of(private / "x") == 0o600
    config = machine.root / "etc/brtel-notify/config.yml"
    assert (mode_of(config), owner_of(config)) == (0o640, (0, 950))
    after = (machine.root / "etc/passwd").stat()
    assert (after.st_uid, after.st_gid, after.st_mode) == (
        before.st_uid,
        before.st_gid,
        before.st_mode,
    )
    for system in ("zabbix", "nagios"):
        assert "done: " not in machine.install(system)


@root_only
def test_systems_of_one_user_need_no_group(machine: Machine) -> None:
    machine.has("nagios", "icinga")  # Debian's packages share the user nagios
    for system in ("nagios", "icinga", "nagios"):
        assert "group" not in machine.install(system).replace("contact_group", "")
    assert owner_of(machine.root / "var/lib/brtel-notify") == (902, 902)


@root_only
def test_a_user_without_a_system_is_nobodys_business(machine: Machine) -> None:
    machine.has("nagios", "zabbix")  # Zabbix is there, and does not use brtel-notify
    assert "usermod" not in machine.install("nagios")


@root_only
def test_one_user_more_locks_nobody_out(machine: Machine) -> None:
    """Also where --user names that one alone, and no group is said."""
    machine.has("librenms", "nagios", "zabbix")
    machine.group("watchers", 960, "nagios", "librenms", "zabbix")
    folder = machine.root / "var/lib/brtel-notify"
    machine.install("nagios")
    assert (mode_of(folder), owner_of(folder)) == (0o700, (902, 902))
    said = machine.install("zabbix", "--user", "zabbix", "--dry-run")
    assert "usermod -aG brtel-notify nagios" in said
    machine.install("zabbix", "--user", "zabbix", "--group", "watchers")
    assert (mode_of(folder), owner_of(folder)) == (0o2770, (0, 960))
    for words in (["librenms", "--user", "librenms"], ["librenms"], ["nagios"]):
        said = machine.install(*words)
        assert (mode_of(folder), owner_of(folder)) == (0o2770, (0, 960))
        assert "usermod" not in said


def test_whom_the_system_runs_as_can_be_said(machine: Machine) -> None:
    machine.has("librenms", "nagios")
    said = machine.install("librenms", "--user", "librenms", "--user", "nagios", "--dry-run")
    assert "usermod -aG brtel-notify nagios" in said
    said = machine.install("librenms", "--group", "librenms", "--dry-run")
    assert "-g librenms -m 2770 /var/lib/brtel-notify" in said
    assert "--user nemo: there is no such user" in machine.install(
        "librenms", "--user", "nemo", code=2
    )


def test_who_is_not_root_is_told_what_root_has_to_do(machine: Machine) -> None:
    machine.has("nagios")
    if IS_ROOT:
        pytest.skip("root does it")
    steps = machine.steps("nagios")
    assert "as root: install -d -o nagios -g nagios -m 0700 /var/lib/brtel-notify" in steps


# --- systemd --------------------------------------------------------------------------------------

UNITS = ("brtel-notify-worker.service", "brtel-notify-flush.service", "brtel-notify-flush.timer")


def settings(path: Path) -> List[str]:
    return [line for line in path.read_text().splitlines() if line and line[0] not in "#["]


def test_the_units_run_as_the_monitoring_does(machine: Machine) -> None:
    machine.has("zabbix")
    machine.write("etc/systemd/system/x.service", "")
    steps = machine.steps("systemd")
    folder = machine.root / "etc/systemd/system"
    for unit in UNITS[:2]:
        found = settings(folder / unit)
        assert {"User=zabbix", "Group=zabbix", "StateDirectory=brtel-notify"} <= set(found)
        assert "StateDirectoryMode=0700" in found
    assert f"ExecStart={COMMAND} worker" in settings(folder / UNITS[0])
    assert (folder / UNITS[2]).read_text() == text_of(f"systemd/{UNITS[2]}")
    assert "systemctl daemon-reload" in steps
    assert "systemctl enable --now brtel-notify-worker" in steps


def test_the_units_of_a_shared_folder_do_not_take_it(machine: Machine) -> None:
    machine.has("nagios", "zabbix")
    machine.write("etc/systemd/system/x.service", "")
    machine.group("brtel-notify", 950, "zabbix", "nagios")
    for system in ("nagios", "zabbix"):
        machine.install(system)
    machine.install("systemd")
    found = settings(machine.root / "etc/systemd/system" / UNITS[0])
    assert {"User=nagios", "Group=brtel-notify"} <= set(found)
    assert "ReadWritePaths=/var/lib/brtel-notify" in found
    assert not [line for line in found if line.startswith("StateDirectory")]


def test_the_units_of_another_folder(machine: Machine) -> None:
    machine.has("nagios")
    machine.write("etc/systemd/system/x.service", "")
    machine.install("systemd", "--state-dir", "/home/nagios/state", "--config", "/srv/b.yml")
    found = settings(machine.root / "etc/systemd/system" / UNITS[1])
    options = "--config /srv/b.yml --state-dir /home/nagios/state"
    assert f"ExecStart={COMMAND} {options} flush" in found
    assert {"ReadWritePaths=/home/nagios/state", "ProtectHome=read-only"} <= set(found)


def test_the_units_need_to_know_for_whom(machine: Machine) -> None:
    machine.write("etc/systemd/system/x.service", "")
    assert "--user NAME" in machine.install("systemd", code=2)
    machine.has("nagios", "zabbix")
    assert "--user NAME" in machine.install("systemd", code=2)
    machine.install("systemd", "--user", "zabbix")
    assert "User=zabbix" in settings(machine.root / "etc/systemd/system" / UNITS[0])


def test_systemd_itself_finds_no_fault_in_them(machine: Machine) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd is not installed")
    machine.has("nagios")
    folder = machine.root / "units"
    folder.mkdir()
    for more in ([], ["--state-dir", "/srv/state", "--config", "/srv/b.yml"]):
        words = ["systemd", "--user", "nagios", "--dest", "/units", "--force", *more]
        machine.install(*words, "--dry-run")
        machine.install(*words)
        done = subprocess.run(
            ["systemd-analyze", "verify", *(str(folder / unit) for unit in UNITS)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert [line for line in done.stderr.splitlines() if "brtel-notify" in line] == []


# --- real users -----------------------------------------------------------------------------------

#: Names of this process's own: others may run the same tests at the same time.
TEST_USERS = (f"brtel{os.getpid()}a", f"brtel{os.getpid()}b")
TEST_GROUP = f"brtel{os.getpid()}g"


@pytest.fixture
def users() -> Iterator[Sequence[str]]:
    """Two users of this machine, for as long as the test runs."""
    if not IS_ROOT or shutil.which("useradd") is None:
        pytest.skip("only root adds users")
    _remove_users()
    for user in TEST_USERS:
        subprocess.run(["useradd", "--system", "--user-group", user], check=True)
    try:
        yield TEST_USERS
    finally:
        _remove_users()


def _remove_users() -> None:
    for words in (*(["userdel", user] for user in TEST_USERS), ["groupdel", TEST_GROUP]):
        subprocess.run(words, capture_output=True, check=False)


@pytest.fixture
def open_site(site: Site) -> Iterator[Site]:
    """A site whose folder other users can enter."""
    folder = Path(tempfile.mkdtemp(prefix="brtel-install-"))
    folder.chmod(0o755)
    found = Site(folder, site.sandbox)
    for file in (found.config_file, found.token_file):
        file.chmod(0o600)
    yield found
    shutil.rmtree(folder)


def test_real_users_share_one_state_folder(users: Sequence[str], open_site: Site) -> None:
    site = open_site
    script = site.folder / "brtel-notify"
    able = as_user(users[0], COMMAND, "--version")
    if able is None or able.returncode:
        pytest.skip("other users may not run this Python")
    words = ["install", "zabbix", "--dest", str(script)]

    said = site.run(*words, "--user", users[0]).stdout
    assert "names: priority, category" in said  # the test ran, as that user
    assert (mode_of(site.state_dir), site.state_dir.owner()) == (0o700, users[0])
    assert (mode_of(site.token_file), site.token_file.group()) == (0o640, users[0])

    more = [word for user in users for word in ("--user", user)]
    said = site.run(*words, *more, "--group", TEST_GROUP).stdout
    assert f"done: groupadd --system {TEST_GROUP}" in said
    for user in users:
        assert f"done: usermod -aG {TEST_GROUP} {user}" in said
        assert user in grp.getgrnam(TEST_GROUP).gr_mem
    assert (mode_of(site.state_dir), site.state_dir.group()) == (0o2770, TEST_GROUP)
    assert "ok   state folder" in said

    sendto, subject, message = load_capture("zabbix6-problem")["argv"]
    done = as_user(users[0], str(script), sendto, subject, message)
    assert done is not None
    assert done.returncode == 0, done.stderr
    recovery = load_capture("zabbix6-recovery")["argv"]
    done = as_user(users[1], str(script), *recovery)
    assert done is not None
    assert done.returncode == 0, done.stderr
    assert not site.the_ticket()["open"]  # the second user closed the first one's ticket

    assert "done: " not in site.run(*words, *more, "--group", TEST_GROUP).stdout


def test_a_test_that_fails_is_the_commands_failure(users: Sequence[str], open_site: Site) -> None:
    site = open_site
    site.token_file.write_text("wrong")
    words = ["install", "zabbix", "--dest", str(site.folder / "s"), "--user", users[0]]
    able = as_user(users[0], COMMAND, "--version")
    if able is None or able.returncode:
        pytest.skip("other users may not run this Python")
    done = site.run(*words, code=78)
    assert "401" in done.stderr
    assert (site.folder / "s").is_file()
    assert site.run(*words, "--no-test").stderr == ""


# --- LibreNMS: a checkout of git, whose clean-up deletes what it does not know --------------------

TRANSPORT_LINE = "/LibreNMS/Alert/Transport/Bluerocktel.php"
EXCLUDE = "opt/librenms/.git/info/exclude"


def checkout(machine: Machine, exclude: str = "# git's own words\n*.bak") -> Path:
    """LibreNMS as its installation guide has it: cloned."""
    machine.has("librenms")
    return machine.write(EXCLUDE, exclude)


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_the_transport_is_kept_from_a_clean_up(machine: Machine) -> None:
    """`./scripts/github-remove -d` is `git clean -d -f`."""
    machine.has("librenms")
    git("init", "-q", cwd=machine.root / "opt/librenms")
    machine.install("librenms")
    git("add", "LibreNMS/Alert/Transport/Mail.php", cwd=machine.root / "opt/librenms")
    machine.write("opt/librenms/stray.php", "")
    git("clean", "-d", "-f", "-q", cwd=machine.root / "opt/librenms")
    assert not (machine.root / "opt/librenms/stray.php").exists()
    assert (machine.root / MACHINES["librenms"][1]).exists() == IS_ROOT


@root_only
@pytest.mark.short
@pytest.mark.parametrize("before", ["", "*.bak\n", "*.bak"])
def test_the_line_that_keeps_it_is_written_once(machine: Machine, before: str) -> None:
    exclude = checkout(machine, before)
    exclude.chmod(0o640)
    os.chown(exclude, 901, 903)
    said = machine.install("librenms")
    assert f"done: echo {TRANSPORT_LINE} >> /{EXCLUDE}" in said
    wanted = [*before.split(), TRANSPORT_LINE]
    assert exclude.read_text() == "\n".join(wanted) + "\n"
    assert (mode_of(exclude), owner_of(exclude)) == (0o640, (901, 903))
    state = machine.state()
    assert "exclude" not in machine.install("librenms")
    assert machine.state() == state


def test_a_dry_run_says_the_line_and_writes_none(machine: Machine, tmp_path: Path) -> None:
    exclude = checkout(machine)
    before = machine.state()
    said = machine.install("librenms", "--dry-run")
    assert f"would do: echo {TRANSPORT_LINE} >> /{EXCLUDE}" in said
    assert TRANSPORT_LINE not in machine.install("librenms", "--print")
    assert machine.state() == before
    assert TRANSPORT_LINE not in exclude.read_text()


@root_only
def test_the_line_goes_where_dest_says_that_librenms_is(machine: Machine) -> None:
    machine.has("librenms")
    (machine.root / "opt/librenms").rename(machine.root / "srv")
    exclude = machine.write("srv/.git/info/exclude", "")
    machine.install("librenms", "--dest", "/srv/LibreNMS/Alert/Transport")
    assert exclude.read_text() == f"{TRANSPORT_LINE}\n"


def test_no_line_where_there_is_no_checkout(machine: Machine) -> None:
    machine.has("librenms")
    assert "exclude" not in machine.install("librenms")
    assert not (machine.root / "opt/librenms/.git").exists()


def test_a_worktree_is_left_to_its_owner(machine: Machine) -> None:
    """Its .git is a file that names a folder: its owner's word is not followed as root."""
    machine.has("librenms")
    elsewhere = machine.write("root/info/exclude", "")
    machine.write("opt/librenms/.git", f"gitdir: {machine.root}/root\n")
    said = machine.steps("librenms")
    assert "git rev-parse --git-path info/exclude" in said
    assert TRANSPORT_LINE in said
    assert elsewhere.read_text() == ""


@root_only
@pytest.mark.parametrize("which", ["exclude", "info", ".git", "hard link"])
def test_the_line_is_written_through_no_link(machine: Machine, tmp_path: Path, which: str) -> None:
    exclude = checkout(machine, "")
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    precious = folder / "info/exclude" if which == ".git" else folder / "exclude"
    precious.parent.mkdir(exist_ok=True)
    precious.write_text("precious")
    planted = {"info": exclude.parent, ".git": exclude.parent.parent}.get(which, exclude)
    shutil.rmtree(planted) if planted.is_dir() else planted.unlink()
    if which == "hard link":
        os.link(precious, exclude)
    else:
        planted.symlink_to(precious if which == "exclude" else folder)
        os.lchown(planted, 901, 901)
    assert "info/exclude" in machine.steps("librenms")
    assert precious.read_text() == "precious"


@root_only
@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_what_is_left_to_do_by_hand_works_as_it_is_printed() -> None:
    """Git refuses root in a checkout that is another's."""
    with tempfile.TemporaryDirectory(prefix="brtel-git-") as folder:
        os.chmod(folder, 0o755)
        machine = Machine(Path(folder) / "root")
        checkout(machine)
        home = machine.root / "opt/librenms"
        shutil.rmtree(home / ".git")
        git("init", "-q", cwd=home)
        (machine.root / EXCLUDE).unlink()
        for path in (home, *home.rglob("*")):
            os.chown(path, USERS["librenms"], USERS["librenms"])
        (step,) = [each for each in machine.steps("librenms").splitlines() if "rev-parse" in each]
        become, words = step.partition(": ")[2].split(" sh -c ")
        assert become == "runuser -u librenms --"
        line = f"sh -c {words}".replace("/opt/librenms", str(home))
        done = run("sh", "-c", line, user=USERS["librenms"], group=USERS["librenms"])
        assert (done.returncode, done.stderr) == (0, "")
        assert (machine.root / EXCLUDE).read_text() == f"{TRANSPORT_LINE}\n"


@root_only
@pytest.mark.skipif(shutil.which("setpriv") is None, reason="setpriv is not installed")
def test_a_root_who_may_not_write_there_is_told_how_its_owner_can(machine: Machine) -> None:
    """As on a network's disk (root_squash); the rest is done all the same."""
    exclude = checkout(machine)
    os.chown(exclude, USERS["librenms"], USERS["librenms"])
    machine.install("librenms", "--dest", "/opt/librenms/LibreNMS/Alert/Transport")
    exclude.write_text("")
    exclude.chmod(0o444)
    line = ["setpriv", "--bounding-set=-dac_override", sys.executable, "-m", "brtel_notify"]
    done = run(*line, "install", "librenms", "--root", str(machine.root))
    assert (done.returncode, done.stderr) == (0, "")
    assert "done: install -d -o librenms" in done.stdout
    assert "runuser -u " in done.stdout
    assert TRANSPORT_LINE in done.stdout.partition("left to do:")[2]


def git(*words: str, cwd: Path) -> None:
    subprocess.run(["git", *words], cwd=cwd, check=True, capture_output=True)


def test_librenms_is_told_of_its_operations(machine: Machine) -> None:
    machine.has("librenms")
    steps = machine.steps("librenms")
    for words in ("Alert Operations", "Steps from 1", "Steps to empty", "default transport"):
        assert words in steps
