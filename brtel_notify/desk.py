"""What a delivery works with: the API client, names, owners and templates, each made when first
needed, so that an event which needs no call costs none of their imports."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Mapping, Optional

from brtel_notify.alert import Alert
from brtel_notify.cache import Cache
from brtel_notify.config import Config
from brtel_notify.log import Log
from brtel_notify.readers import ConfigError
from brtel_notify.settings import Settings, settings_for

if TYPE_CHECKING:
    from brtel_notify.bluerocktel import Client, Contact
    from brtel_notify.customer import Owner, Owners
    from brtel_notify.names import Names
    from brtel_notify.render import Renderer

TOKEN_CACHE = "token.json"  # noqa: S105 - a file's name


class Desk:
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
        self._lock = threading.RLock()
        self._made: Dict[str, Any] = {}
        self._counter = threading.local()

    def _once(self, name: str, make: Callable[[], Any]) -> Any:
        with self._lock:
            if name not in self._made:
                self._made[name] = make()
            return self._made[name]

    @property
    def client(self) -> Client:
        """The API client: one session for all. Raises ConfigError."""
        return self._once("client", self._client)  # type: ignore[no-any-return]

    def _client(self) -> Client:
        from brtel_notify.bluerocktel import Client
        from brtel_notify.credentials import Credentials

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
                pool_size=self.threads,
                on_call=self._count,
            )
        except ValueError as error:
            raise ConfigError(f"{self.config.place('api')}: api: {error}") from None
        client.deadline = self.deadline
        return client

    @property
    def names(self) -> Names:
        """Names to ids."""

        def make() -> Names:
            from brtel_notify.names import Names

            return Names(self.config, self.client, self.cache)

        return self._once("names", make)  # type: ignore[no-any-return]

    @property
    def owners(self) -> Owners:
        """The customer lookups."""

        def make() -> Owners:
            from brtel_notify.customer import Owners

            return Owners(self.config, self.client, self.cache, self.log.say)

        return self._once("owners", make)  # type: ignore[no-any-return]

    @property
    def renderer(self) -> Renderer:
        """The templates."""

        def make() -> Renderer:
            from brtel_notify.render import Renderer

            config = self.config
            return Renderer(config.language, config.templates, config.timezone)

        return self._once("renderer", make)  # type: ignore[no-any-return]

    def _count(self, method: str, path: str, status: Optional[int], seconds: float) -> None:
        self._counter.calls = self.calls + 1
        answer = status if status is not None else "no answer"
        self.log.detail(f"{method} {path}: {answer}, {seconds * 1000:.0f} ms")

    @property
    def calls(self) -> int:
        """How many API calls this thread has made."""
        return int(getattr(self._counter, "calls", 0))

    # --- what the configuration says about one alert ---------------------------------------------

    def owner(self, alert: Alert) -> Optional[Owner]:
        """The customer that ALERT belongs to. Raises ApiError, ConfigError."""
        context = self.context(alert)

        def evaluate(template: str) -> str:
            try:
                return self.renderer.value(template, context)
            except Exception as error:  # noqa: BLE001 - whatever a user's template does wrong
                from brtel_notify.render import describe

                place = self.config.place("customer.lookup")
                self.log.say(f"{place}: customer.lookup: {template}: {describe(error)}; left out")
                return ""

        return self.owners.find(alert.host, alert.address, evaluate)

    def context(self, alert: Alert, customer: Optional[Mapping[str, Any]] = None) -> Dict[str, Any]:
        """The context of templates and rules."""
        from brtel_notify.render import context_of

        return context_of(alert, self.clock(), self.config.timezone, customer)

    def settings(self, alert: Alert) -> Settings:
        """The ticket's settings for ALERT. Raises ApiError, ConfigError if a rule needs a call."""
        if not self.config.rules:
            return settings_for(alert, self.config, lambda condition: False)
        context = self.context(alert, self._customer_for_rules(alert))
        return settings_for(
            alert, self.config, lambda condition: self.renderer.holds(condition, context)
        )

    def _customer_for_rules(self, alert: Alert) -> Optional[Mapping[str, Any]]:
        """The customer, if a rule names it; the whole record, if a rule asks for more of it."""
        from brtel_notify.customer import plain_record
        from brtel_notify.render import names_in

        sources = {f"when {n}": rule.when for n, rule in enumerate(self.config.rules)}
        attributes = names_in(sources, "customer")
        if not attributes:
            return None
        owner = self.owner(alert)
        if owner is None:
            return None
        plain = plain_record(owner)
        return plain if attributes <= set(plain) else self.owners.record(owner)

    def contacts(self, customer_id: int) -> List[int]:
        """The ids of the contacts to attach, by the configured role. Raises ApiError."""
        import re

        role = self.config.contact.role
        if role is None:
            return []
        rows = self.cache.get("contacts", str(customer_id), self.config.customer.cache)
        if rows is None:
            found: List[Contact] = self.client.contacts(customer_id)
            rows = [[contact.id, contact.role] for contact in found]
            self.cache.put("contacts", str(customer_id), rows)
        fitting = [row[0] for row in rows if re.search(role, row[1] or "", re.IGNORECASE)]
        return fitting if self.config.contact.attach == "all" else fitting[:1]
