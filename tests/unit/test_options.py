"""Global options: before the command, after it, and where the state folder is."""

from __future__ import annotations

from typing import Dict, List, Optional

import pytest

from brtel_notify.local import command_line
from brtel_notify.options import DEFAULT_STATE_DIR, Options, UsageError, split
from brtel_notify.sources import registry

OURS = {"BRTEL_NOTIFY_STATE_DIR": "/ours"}
SYSTEMD = {"STATE_DIRECTORY": "/systemd:/second"}


@pytest.mark.parametrize(
    ("option", "environ", "wanted"),
    [
        ("/option", {**OURS, **SYSTEMD}, "/option"),
        (None, {**OURS, **SYSTEMD}, "/ours"),
        (None, SYSTEMD, "/systemd"),
        (None, {}, DEFAULT_STATE_DIR),
        (None, {"BRTEL_NOTIFY_STATE_DIR": "", "STATE_DIRECTORY": ""}, DEFAULT_STATE_DIR),
        (None, {"BRTEL_NOTIFY_STATE_DIR": "", **SYSTEMD}, "/systemd"),
    ],
)
def test_state_folder_is_the_first_that_is_named(
    option: Optional[str], environ: Dict[str, str], wanted: str
) -> None:
    options = Options()
    options.state_dir_option = option
    assert options.state_dir(environ) == wanted
    assert DEFAULT_STATE_DIR == "/var/lib/brtel-notify"


@pytest.mark.parametrize(
    "words",
    [
        ["--config", "c.yml", "--state-dir", "/s", "-v", "--dry-run", "nagios", "--var", "A=B"],
        ["-v", "--dry-run", "--state-dir=/s", "--config=c.yml", "nagios", "--var", "A=B"],
        [
            *("--verbose", "--config=old", "--config=c.yml", "--dry-run", "--state-dir=/s"),
            *("nagios", "--var", "A=B"),
        ],
    ],
)
def test_options_before_the_command(words: List[str]) -> None:
    options, rest = split(words)
    assert rest == ["nagios", "--var", "A=B"]
    assert (options.config, options.state_dir_option) == ("c.yml", "/s")
    assert options.verbose
    assert options.dry_run


def test_given_words_are_left_as_they_are() -> None:
    words = ["-v", "flush"]
    split(words)
    assert words == ["-v", "flush"]


def test_value_may_hold_an_equals_sign() -> None:
    options, rest = split(["--config=a=b", "--state-dir", "c=d", "flush"])
    assert (options.config, options.state_dir_option, rest) == ("a=b", "c=d", ["flush"])


@pytest.mark.parametrize("words", [[], ["-v"], ["--config", "c.yml"]])
def test_no_command_is_no_error_yet(words: List[str]) -> None:
    assert split(words)[1] == []
    assert not Options().take([])


@pytest.mark.parametrize("name", ["--config", "--state-dir"])
@pytest.mark.parametrize(
    "more", [[], [""], ["-v", "flush"], ["--dry-run"], ["--state-dir", "/s", "flush"]]
)
def test_missing_value_is_said(name: str, more: List[str]) -> None:
    with pytest.raises(UsageError, match=f"^{name} needs a value$"):
        split([name, *more])


@pytest.mark.parametrize("name", ["--config", "--state-dir"])
def test_empty_value_is_said(name: str) -> None:
    with pytest.raises(UsageError, match=f"^{name} needs a value$"):
        split([f"{name}=", "flush"])


@pytest.mark.parametrize("word", ["--conf", "--config-file=x", "-x", "--dry-run=1", "--", "-vv"])
def test_other_words_are_left_to_the_command(word: str) -> None:
    options, rest = split([word, "flush"])
    assert rest == [word, "flush"]
    assert vars(options) == vars(Options())


def test_options_after_a_notification_command() -> None:
    options, rest = split(["--config", "old.yml", "nagios"])
    assert rest == ["nagios"]
    words = ["--state-dir", "/s", "--var", "A=B", "--config=new.yml", "-v", "--var=C=--config"]
    capture = registry.source("nagios").capture(words, options)
    assert capture.argv == ["--var", "A=B", "--var", "C=--config"]
    assert (options.config, options.state_dir_option, options.verbose) == ("new.yml", "/s", True)
    with pytest.raises(UsageError, match="--config needs a value"):
        registry.source("nagios").capture(["--var", "A=B", "--config"], options)


def test_flags_of_an_event_are_stored_as_given_but_for_the_options() -> None:
    options = Options()
    flags = ["--host", "web1", "--state=DOWN", "--output=--config", "--var", "A=-v"]
    words = ["-v", *flags[:3], "--config", "c.yml", *flags[3:], "--state-dir=/s", "--dry-run"]
    capture = registry.source("event").capture(words, options)
    assert capture.argv == flags
    assert (options.config, options.state_dir_option) == ("c.yml", "/s")
    assert (options.verbose, options.dry_run) == (True, True)
    assert registry.parse(capture).output == "--config"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--config"], "--config needs a value"),
        (["-vv"], "event: unrecognized arguments: -vv"),
        (["--output"], "event: argument --output: expected one argument"),
        (["--comment", "--dry-run", "text"], "event: unrecognized arguments: text"),
        (["--var", "-v"], "event: argument --var: it is NAME=VALUE"),
    ],
)
def test_flags_that_would_not_be_understood_later_are_not_stored(
    words: List[str], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        registry.source("event").capture(["--host", "web1", "--state", "DOWN", *words], Options())


@pytest.mark.parametrize("word", ["-v", "--dry-run"])
def test_the_value_of_a_flag_is_no_option(word: str) -> None:
    options = Options()
    with pytest.raises(UsageError, match=f"--var needs NAME=VALUE, not '{word}'"):
        registry.source("nagios").capture(["--var", word, "A=B"], options)
    capture = registry.source("nagios").capture(["--var", "--config=/x", "--var", "A=B"], options)
    assert capture.argv == ["--var", "--config=/x", "--var", "A=B"]
    assert (options.verbose, options.dry_run, options.config) == (False, False, None)


def test_three_zabbix_words_are_never_options() -> None:
    options = Options()
    capture = registry.source("zabbix").capture(
        ["-v", "--config", "--state-dir", "--dry-run"], options
    )
    assert capture.argv == ["--config", "--state-dir", "--dry-run"]
    assert (options.verbose, options.dry_run, options.config) == (True, False, None)


def test_options_after_a_command_for_people() -> None:
    options, rest = split(["--config", "old.yml", "-v", "flush"])
    made = command_line.parser("flush", "about", "example")
    command_line.parse(made, ["--config", "new.yml", "--state-dir", "/s"], options)
    assert rest == ["flush"]
    assert (options.config, options.state_dir_option, options.verbose) == ("new.yml", "/s", True)
    command_line.parse(made, [], options)
    assert (options.config, options.state_dir_option, options.verbose) == ("new.yml", "/s", True)
