"""Proves the way to BlueRockTEL without opening a ticket: configuration, credentials, names."""

from __future__ import annotations

import os
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Callable, List, Mapping, Optional, Set, Tuple

from brtel_notify.config import schema as configuration
from brtel_notify.config.schema import SETTABLE, Config
from brtel_notify.config.tree import nearest
from brtel_notify.config.yaml_nodes import ConfigError
from brtel_notify.console.configured import services_of
from brtel_notify.console.failures import fail
from brtel_notify.console.output import paint
from brtel_notify.console.report import Report
from brtel_notify.local.os_errors import because
from brtel_notify.local.private_folder import PrivateFolder
from brtel_notify.options import Options

if TYPE_CHECKING:
    from brtel_notify.api.records import Customer, User
    from brtel_notify.delivery.services import Services


def prove(
    options: Options,
    variables: Mapping[str, str] = MappingProxyType({}),
    opens_one: bool = False,
) -> Report:
    """Try all that a ticket needs, except opening one; also what a test's VARIABLES ask for.

    OPENS_ONE: what only a ticket shows is left for the one that the caller opens.
    """
    report = Report()
    path = configuration.find(options.config, os.environ)
    state_dir = options.state_dir(os.environ)
    try:
        config = configuration.load(path, os.environ)
    except ConfigError as error:
        report.bad(str(error), os.EX_CONFIG)
        return report
    report.good(f"configuration: {path}")
    _prove_state_folder(state_dir, report)
    _prove_paths(config, report)
    # What is parsed and compiled here need not be when the first alert comes.
    configuration.load(path, os.environ, PrivateFolder(state_dir, "parsed"))
    _prove_expressions(config, state_dir, report)
    _prove_api(config, options, variables, opens_one, report)
    return report


def _prove_paths(config: Config, report: Report) -> None:
    """Paths that hold in whatever folder the monitoring runs us, and a log that can be written."""
    paths = {
        "api.token_file": config.api.token_file,
        "api.password_file": config.api.password_file,
        "api.ca_file": config.api.ca_file,
        "templates": config.templates,
    }
    log = config.log
    if log not in ("stderr", "syslog"):
        paths["log"] = log
        there = log if os.path.exists(log) else os.path.dirname(log) or "."
        if os.path.isdir(log) or not os.path.exists(there) or not os.access(there, os.W_OK):
            text = f"log: {log} cannot be written by this user"
            report.bad(f"{config.where('log')}: {text}", os.EX_CONFIG)
    for key, path in paths.items():
        if path and not os.path.isabs(path):
            text = f"{key}: {path}: must begin with /: commands run in folders of their own"
            report.bad(f"{config.where(key)}: {text}", os.EX_CONFIG)


def _prove_state_folder(state_dir: str, report: Report) -> None:
    from brtel_notify.intake.queue import Queue

    try:
        Queue(state_dir).prove()
    except OSError as error:
        report.bad(f"state folder: {because(error, state_dir)}", os.EX_TEMPFAIL)
    else:
        report.good(f"state folder: {state_dir}")


def _prove_expressions(config: Config, state_dir: str, report: Report) -> None:
    """The rules, lookups and templates of one's own: whether they are Jinja at all."""
    from brtel_notify.text.bounded_jinja import describe
    from brtel_notify.text.context import names_of_context
    from brtel_notify.text.expressions import names_in_condition, names_in_value
    from brtel_notify.text.templates import Renderer

    compiled = PrivateFolder(state_dir, "templates")
    renderer = Renderer(config.language, config.templates, config.timezone, compiled)
    renderer.compile_built_in()
    checks: List[Tuple[str, Callable[[], Set[str]]]] = [
        (f"customer.lookup[{n}]", lambda text=text: names_in_value(text))  # type: ignore[misc]
        for n, (_, text) in enumerate(config.customer.lookup)
    ]
    checks += [
        (f"rules[{n}].when", lambda rule=rule: names_in_condition(rule.when))  # type: ignore[misc]
        for n, rule in enumerate(config.rules)
    ]
    known = names_of_context()
    for key, check in checks:
        try:
            unknown = sorted(check() - known)
            if unknown:
                text = f"an alert has no '{unknown[0]}'{nearest(unknown[0], sorted(known))}"
                report.bad(f"{config.where(key)}: {key}: {text}", os.EX_CONFIG)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with it is the finding
            report.bad(f"{config.where(key)}: {key}: {describe(error)}", os.EX_CONFIG)
    if config.templates is not None and not os.path.isdir(config.templates):
        text = f"templates: there is no folder {config.templates}"
        report.bad(f"{config.where('templates')}: {text}", os.EX_CONFIG)
    for name, problem in renderer.check_templates():
        report.bad(f"template {name}: {problem}", os.EX_CONFIG)
    if not report.code:
        report.good("rules, lookups and templates")


def _prove_api(
    config: Config,
    options: Options,
    variables: Mapping[str, str],
    opens_one: bool,
    report: Report,
) -> None:
    from brtel_notify.api.exceptions import ApiError, CredentialsError, NotFound
    from brtel_notify.api.mixed_up import portal_hint
    from brtel_notify.console import instance_proof

    services = services_of(options, config)
    try:
        try:
            version = services.client.version()
        except NotFound:
            where = config.where("api.url")
            text = f"{where}: api.url: no BlueRockTEL API answers at {config.api.url}"
            hint = portal_hint(config.api.url) or "; it usually ends in /api"
            raise ConfigError(f"{text}{hint}") from None
        report.good(f"API: {config.api.url}, version {version.version}")
        services.names.rows("priority")
        report.good("credentials: accepted")
        _prove_names(config, services, report)
        user = instance_proof.who(services.client)
        customer = _prove_accounts(config, services, user, report)
        _prove_variables(variables, services, report)
        instance_proof.prove(services, user, customer, report)
        if not opens_one:
            instance_proof.say_zone(services.instance, report)
            instance_proof.say_notes(services, report)
    except (ConfigError, CredentialsError) as error:
        report.bad(str(error), os.EX_CONFIG)
    except ApiError as error:
        code = os.EX_UNAVAILABLE if error.retry else os.EX_CONFIG
        report.bad(f"api: {error}{portal_hint(config.api.url)}", code)
    except OSError as error:
        report.bad(f"state folder: {because(error, services.state_dir)}", os.EX_TEMPFAIL)
    finally:
        services.close()


def _prove_names(config: Config, services: Services, report: Report) -> None:
    """Every name in the configuration, wherever it stands."""
    before = len(report.lines)
    places: List[Tuple[str, Mapping[str, Any]]] = [
        ("ticket", {name: getattr(config.ticket, name) for name in SETTABLE})
    ]
    places += [(f"severities.{word}", values) for word, values in config.severities.items()]
    places += [(f"rules[{n}].set", rule.set) for n, rule in enumerate(config.rules)]
    for key, values in places:
        for problem in services.names.problems(key, values):
            report.bad(problem, os.EX_CONFIG)
    if len(report.lines) == before:
        report.good("names: priority, category, sub-category and all others are known")


def _prove_accounts(
    config: Config, services: Services, user: Optional[User], report: Report
) -> Optional[Customer]:
    """The accounts that the configuration names, as USER sees them; the fallback customer."""
    from brtel_notify.console.instance_proof import not_found

    for host, owner in config.customer.hosts.items():
        if services.client.customer_by_account(owner) is None:
            key = f"customer.hosts.{host}"
            text = f"{config.where(key)}: {key}: {not_found(owner, user)}"
            report.bad(text, os.EX_CONFIG)
    account = config.customer.fallback
    if account is None:
        report.note("customer.fallback is not set: an alert that nobody owns goes to dead/")
        return None
    customer = services.client.customer_by_account(account)
    if customer is None:
        where = config.where("customer.fallback")
        text = f"{where}: customer.fallback: {not_found(account, user)}"
        report.bad(text, os.EX_CONFIG)
    else:
        report.good(f"fallback customer: {customer.name} ({account})")
    return customer


def _prove_variables(variables: Mapping[str, str], services: Services, report: Report) -> None:
    """The account and the priority that a LibreNMS transport sets for its tickets."""
    from brtel_notify.tickets.settings import PRIORITY, Settings

    settings = Settings({"tags": []}, {})
    settings.take_variables(variables)
    if "priority" in settings.values:
        try:
            services.names.id("priority", settings.values["priority"], f"vars.{PRIORITY}")
        except ConfigError as error:
            report.bad(str(error), os.EX_CONFIG)
    account = variables.get("CUSTOMER_ACCOUNT", "").strip()
    if account and services.client.customer_by_account(account) is None:
        report.bad(f"vars.CUSTOMER_ACCOUNT: no customer has the account {account}", os.EX_CONFIG)


def show(report: Report) -> None:
    """Print what REPORT says, a line each; what is wrong on stderr."""
    for good, text in report.lines:
        if good:
            print(f"{paint('ok  ', 'green')} {text}")
        elif good is None:
            print(f"{paint('note', 'yellow')} {text}")
        else:
            fail(text, report.code)


def show_failures(report: Report) -> None:
    """Say what is wrong alone, on stderr."""
    for good, text in report.lines:
        if good is False:
            fail(text, report.code)
