"""What a delivery works with: the API client, names, owners and templates, each made when first
needed, so that an event which needs no call costs none of their imports."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterable, List, Mapping, Optional

from brtel_notify.alert import PROBLEM, Alert
from brtel_notify.api.cache import Cache
from brtel_notify.config.schema import Config
from brtel_notify.config.yaml_nodes import ConfigError
from brtel_notify.local.log import WARNING, Log
from brtel_notify.local.private_folder import PrivateFolder
from brtel_notify.sources import registry
from brtel_notify.tickets.settings import Settings, settings_for

if TYPE_CHECKING:
    from brtel_notify.api.caller import Sender
    from brtel_notify.api.client import Client
    from brtel_notify.api.instance import Instance
    from brtel_notify.delivery.internal_notes import InternalNotes
    from brtel_notify.intake.capture import Capture
    from brtel_notify.text.templates import Renderer
    from brtel_notify.tickets.customer import CustomerRecord, Owner, Owners
    from brtel_notify.tickets.ids_of_names import Names
    from brtel_notify.tickets.ours import Signs

TOKEN_CACHE = "token.json"  # noqa: S105 - a file's name
#: Seconds for which what was told once is not told again.
TOLD_FOR = 30 * 86400.0


class Services:
    """Everything that one drain shares between its events, and between its threads.

    ``clock`` gives seconds since the epoch; ``environ`` is where $BRTEL_TOKEN is looked up.
    """

    def __init__(
        self,
        config: Config,
        state_dir: str,
        log: Log,
        clock: Callable[[], float],
        environ: Mapping[str, str],
        threads: int = 1,
    ) -> None:
        self.config = config
        self.state_dir = state_dir
        self.log = log
        self.clock = clock
        self.environ = environ
        self.threads = threads
        self.cache = Cache(state_dir, config.api.url, clock)
        self.deadline: Optional[float] = None
        self.answered = False  # whether BlueRockTEL has answered at all, and not by an outage
        self.probing = False  # BlueRockTEL was out of reach: one call must show that it is back
        self._lock = threading.RLock()
        self._made: Dict[str, Any] = {}
        self._counter = threading.local()

    def _once(self, name: str, make: Callable[[], Any]) -> Any:
        with self._lock:
            if name not in self._made:
                self._made[name] = make()
            return self._made[name]

    def set_deadline(self, deadline: Optional[float]) -> None:
        """No call lasts, or begins, beyond DEADLINE (of time.monotonic())."""
        with self._lock:
            self.deadline = deadline
            if "client" in self._made:
                self._made["client"].deadline = deadline

    def close(self) -> None:
        """Close the connections."""
        with self._lock:
            if "client" in self._made:
                self._made["client"].close()

    @property
    def client(self) -> Client:
        """The API client: one session for all. Raises ConfigError."""
        return self._once("client", self.connect)  # type: ignore[no-any-return]

    def connect(self, transport: Optional[Sender] = None) -> Client:
        """A client for the configured instance, over the usual transport or another.

        Raises ConfigError.
        """
        from brtel_notify.api.address import WrongSetting
        from brtel_notify.api.client import Client
        from brtel_notify.api.credentials import Credentials
        from brtel_notify.api.pace import Pace

        api = self.config.api
        credentials = Credentials(
            token=api.token,
            token_file=api.token_file,
            environment_token=self.environ.get("BRTEL_TOKEN"),
            email=api.email,
            password_file=api.password_file,
        )
        try:
            client = Client(
                api.url,
                credentials,
                timeout=api.timeout,
                ca_file=api.ca_file,
                proxy=api.proxy,
                token_cache=os.path.join(self.state_dir, TOKEN_CACHE),
                pool_size=2 * self.threads if self.threads > 1 else 1,
                on_call=self._count,
                transport=transport,
                pace=Pace(api.requests_per_minute) if api.requests_per_minute else None,
                instance=self.instance,
            )
        except WrongSetting as error:
            raise ConfigError(f"{self.config.where(error.key)}: {error}") from None
        client.deadline = self.deadline
        return client

    def connect_ahead(self, connections: int) -> None:
        """Calls are about to be made, CONNECTIONS of them at the same time: begin to connect.

        The templates, which every change needs, are made ready meanwhile. Raises ConfigError.
        """
        wanted = connections if self.side_by_side else 1
        self._once("reached_out", lambda: self.client.open_ahead(wanted))
        _ = self.renderer

    @property
    def instance(self) -> Instance:
        """What this BlueRockTEL has shown of itself."""

        def make() -> Instance:
            from brtel_notify.api.instance import Instance

            return Instance(self.cache)

        return self._once("instance", make)  # type: ignore[no-any-return]

    @property
    def names(self) -> Names:
        """Names to ids."""

        def make() -> Names:
            from brtel_notify.tickets.ids_of_names import Names

            return Names(self.config, self.client, self.cache)

        return self._once("names", make)  # type: ignore[no-any-return]

    @property
    def owners(self) -> Owners:
        """The customer lookups."""

        def make() -> Owners:
            from brtel_notify.tickets.customer import Owners

            directory: Any = _WhenAsked(lambda: self.client)  # the cache may know all
            return Owners(self.config, directory, self.cache, self.log.say)

        return self._once("owners", make)  # type: ignore[no-any-return]

    @property
    def renderer(self) -> Renderer:
        """The templates."""

        def make() -> Renderer:
            from brtel_notify.text.templates import Renderer

            config = self.config
            compiled = PrivateFolder(self.state_dir, "templates")
            return Renderer(config.language, config.templates, config.timezone, compiled)

        return self._once("renderer", make)  # type: ignore[no-any-return]

    def _count(self, method: str, path: str, status: Optional[int], seconds: float) -> None:
        self._counter.calls = self.calls + 1
        self.answered = self.answered or (status is not None and status < 429)
        answer = status if status is not None else "no answer"
        self.log.detail(f"{method} {path}: {answer}, {seconds * 1000:.0f} ms")

    @property
    def calls(self) -> int:
        """How many API calls this thread has made."""
        return int(getattr(self._counter, "calls", 0))

    # --- what the configuration says about one alert ---------------------------------------------

    def owner(self, alert: Alert) -> Optional[Owner]:
        """The customer that ALERT belongs to. Raises ApiError, ConfigError."""
        from brtel_notify.text import expressions

        context = self.context(alert)

        def evaluate(template: str) -> str:
            try:
                return expressions.value(template, context)
            except Exception as error:  # noqa: BLE001 - whatever a user's template does wrong
                from brtel_notify.text.bounded_jinja import describe

                where = self.config.where("customer.lookup")
                self.log.say(f"{where}: customer.lookup: {template}: {describe(error)}; left out")
                return ""

        return self.owners.find(alert.host, alert.address, evaluate)

    def signs(self, tags: Iterable[str]) -> Signs:
        """By what our tickets are known; TAGS are those of the alert at hand."""
        from brtel_notify.tickets.ours import Signs, tags_of

        configured = self._once("tags", lambda: tags_of(self.config))
        users = (self.instance.author, self.client.own_id())
        return Signs(configured | set(tags), frozenset(user for user in users if user is not None))

    def context(self, alert: Alert, customer: Any = None) -> Dict[str, Any]:
        """What rules and lookups see of ALERT."""
        from brtel_notify.text.context import context_of

        pages = self.config.sources.of(alert.source)
        return context_of(alert, self.clock(), self.config.timezone, customer, pages)

    def settings(self, alert: Alert) -> Settings:
        """The ticket's settings for ALERT. Raises ApiError, ConfigError if a rule needs a call."""
        if not self.config.rules:
            return settings_for(alert, self.config, lambda condition: False)
        from brtel_notify.text import expressions

        customer = self.record(lambda: self.owner(alert))
        context = self.context(alert, customer)
        settings = settings_for(
            alert, self.config, lambda condition: expressions.holds(condition, context)
        )
        customer.check()
        return settings

    def record(self, find: Callable[[], Optional[Owner]]) -> CustomerRecord:
        """``customer`` for rules and templates; FIND is called when they name it."""
        from brtel_notify.tickets.customer import CustomerRecord

        return CustomerRecord(find, lambda owner: self.owners.record(owner))

    @property
    def internal_notes(self) -> InternalNotes:
        """The notes that are to be internal."""

        def make() -> InternalNotes:
            from brtel_notify.delivery.internal_notes import InternalNotes

            wanted = not self.config.replies.customer_visible
            return InternalNotes(wanted, self.client, self.state_dir, self.log, self.clock)

        return self._once("internal_notes", make)  # type: ignore[no-any-return]

    def tell_once(self, what: str, text: str) -> None:
        """One line in the log, TEXT, however often WHAT becomes true: a month later once more."""
        if not self.cache.get("told", what, TOLD_FOR):
            self.cache.put("told", what, True)
            self.log.say(text, WARNING)

    def tell_doubt(self, alert: Alert, capture: Capture) -> None:
        """What is told once of a problem that may have been meant otherwise."""
        doubt = registry.source(alert.source).doubt(capture) if alert.kind == PROBLEM else ""
        if doubt:
            self.tell_once(doubt, f"{alert.key}: {doubt}")

    @property
    def side_by_side(self) -> bool:
        """Whether independent calls of one event may be made at the same time."""
        return self.threads > 1 and not self.probing

    def in_thread(self, work: Callable[[], object]) -> Callable[[], None]:
        """Begin WORK in a thread; gives what waits for its end. Its calls count as this thread's.

        An ApiError or the like is left for whoever needs the result, and asks again.
        """
        calls = 0

        def run() -> None:
            nonlocal calls
            try:
                work()
            except Exception as error:  # noqa: BLE001 - see above
                self.log.detail(f"aside: {error}")
            calls = self.calls

        thread = threading.Thread(target=run, daemon=True)
        thread.start()

        def join() -> None:
            nonlocal calls
            thread.join()
            self._counter.calls = self.calls + calls
            calls = 0

        return join

    def contacts(self, customer_id: int, again: bool = False) -> List[Dict[str, Any]]:
        """The contacts to attach, as contacts.row_of has them; AGAIN: not from the cache.

        Raises ApiError.
        """
        from brtel_notify.tickets import contacts

        options = self.config.contact
        if options.role is None:
            return []
        rows = self.cache.get("contacts", str(customer_id), self.config.customer.cache)
        if again or not contacts.are_rows(rows):
            rows = [contacts.row_of(each) for each in self.client.contacts(customer_id)]
            self.cache.put("contacts", str(customer_id), rows)
        return contacts.chosen(rows or (), options.role, options.attach)


class _WhenAsked:
    """What MAKE makes, but made when something is first asked of it."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make

    def __getattr__(self, name: str) -> Any:
        return getattr(self._make(), name)
