"""The question for a credential: an API token, or e-mail and password, from a file, a pipe, the
environment or unseen from the keyboard; and the proof that BlueRockTEL takes it."""

from __future__ import annotations

import argparse
import os
import sys
from typing import Mapping, NamedTuple, Optional, Tuple

from brtel_notify.api import credentials
from brtel_notify.api.client import Client
from brtel_notify.api.credentials import Credentials
from brtel_notify.api.exceptions import CredentialsError
from brtel_notify.options import USAGE, Stop
from brtel_notify.setup import find_api, new_config
from brtel_notify.setup.answers import Secret
from brtel_notify.setup.find_api import Lists, TypedLogin
from brtel_notify.setup.machine_files import below, text_in
from brtel_notify.setup.terminal import Terminal, Wrong

#: The name of a file that stands for stdin.
STDIN = "-"


class Credential(NamedTuple):
    """A secret, what the API client takes for it, and the flag it came from (empty: typed)."""

    secret: Secret
    credentials: Credentials
    origin: str


class SignIn:
    """The question; GIVEN are the flags, FOLDER is where a secret's file is put.

    Paths are those of the machine whose root folder is ROOT.
    """

    def __init__(
        self,
        terminal: Terminal,
        given: argparse.Namespace,
        environ: Mapping[str, str],
        folder: str,
        root: str,
    ) -> None:
        self.terminal = terminal
        self.given = given
        self.environ = environ
        self.folder = folder
        self.root = root

    def settle(self, url: str, way: find_api.Way) -> Tuple[Secret, Client, Lists]:
        """A credential that BlueRockTEL takes, and what BlueRockTEL shows to it.

        Raises Stop, EOFError.
        """
        origin = "--email" if self._by_login else "--token-file"
        ask = self._given
        while True:
            try:
                found = ask()
                origin = found.origin if found else ""
                found = found or self._typed()
                client, lists = self._proved(way.client(url, found.credentials))
            except (Wrong, CredentialsError) as error:
                wrong = error if isinstance(error, Wrong) else Wrong(str(error), os.EX_CONFIG)
                self.terminal.refuse(origin, wrong)
                ask = _nothing
                continue
            if self.terminal.attended:
                self.terminal.say("  BlueRockTEL takes it")
            return found.secret, client, lists

    def _proved(self, client: Client) -> Tuple[Client, Lists]:
        """The client, and what BlueRockTEL shows to it. Raises Wrong, CredentialsError."""
        while True:
            try:
                return client, find_api.lists(client)
            except Wrong as wrong:
                if wrong.code != os.EX_UNAVAILABLE or not self.terminal.attended:
                    client.close()
                    raise
                self.terminal.say(f"  {wrong}")
                self.terminal.line("  Enter tries again: ")

    # -- what is there

    @property
    def _by_login(self) -> bool:
        return bool(self.given.email or self.given.password_file)

    def _given(self) -> Optional[Credential]:
        """What the flags name, or what is there already; None: a person has to be asked.

        Raises Stop, Wrong, CredentialsError.
        """
        file = self.given.token_file
        if self._by_login:
            return self._given_login()
        if file and file != STDIN:
            return self._token_in(os.path.abspath(file))
        if file and not self.terminal.attended:
            return self._token(_from_stdin("--token-file"), "--token-file -")
        if self.environ.get("BRTEL_TOKEN"):
            return self._token(self.environ["BRTEL_TOKEN"], "$BRTEL_TOKEN")
        if not self.terminal.attended:
            raise self.terminal.missing("--token-file (or --email with --password-file)")
        usual = self._file("token")
        if self._exists(usual):
            text = f"{usual} is there: take the token in it (n: you type one, which replaces it)?"
            return self._token_in(usual) if self.terminal.agrees(text, default=True) else None
        return None

    def _given_login(self) -> Optional[Credential]:
        email, file = self.given.email, self.given.password_file
        if not self.terminal.attended:
            if not email or not file:
                raise self.terminal.missing("--password-file" if email else "--email")
            if file == STDIN:
                return self._login(email, _from_stdin("--password-file"), "--email")
        if not email or file in (None, STDIN):
            return None
        path = os.path.abspath(file)
        read = Credentials(email=email, password_file=below(self.root, path))
        return Credential(Secret(path, None, email), TypedLogin(*read.login()), "--email")

    def _token_in(self, file: str) -> Credential:
        token = Credentials(token_file=below(self.root, file)).given_token()
        # As a token, not as a file: that the client would read again after a 401.
        return Credential(Secret(file, None), Credentials(token=token), file)

    # -- what is new

    def _typed(self) -> Credential:
        """What a person types. Raises Wrong, CredentialsError, EOFError."""
        if not self._by_login:
            how = "not shown as you type; Enter alone: log in with e-mail and password"
            text = f"API token ({how}{self._replaced('token')})"
            token = self.terminal.unseen(f"{text}: ").strip()
            if token:
                return self._token(token)
        email = self.given.email or self.terminal.line("E-mail address: ").strip()
        if not email:
            raise Wrong("a token or an e-mail address is needed")
        text = f"Password of {email} (not shown as you type{self._replaced('password')})"
        return self._login(email, self.terminal.unseen(f"{text}: "))

    def _token(self, text: str, origin: str = "") -> Credential:
        token = credentials.checked_token(text.strip(), "what was given")
        file = self._file("token")
        self._may_replace(file, token, agreed=not origin)
        return Credential(Secret(file, token), Credentials(token=token), origin)

    def _login(self, email: str, password: str, origin: str = "") -> Credential:
        if not password:
            raise Wrong("the password is empty")
        file = self._file("password")
        self._may_replace(file, password, agreed=not origin)
        return Credential(Secret(file, password, email), TypedLogin(email, password), origin)

    # -- its file

    def _file(self, name: str) -> str:
        """The file that a new secret is written to: ``token`` or ``password``, or as the flag says.

        A flag that names a file which cannot be read names it, too.
        """
        flag = getattr(self.given, f"{name}_file")
        return os.path.abspath(flag) if flag and flag != STDIN else os.path.join(self.folder, name)

    def _exists(self, file: str) -> bool:
        return os.path.lexists(below(self.root, file))

    def _replaced(self, name: str) -> str:
        """What the question for a secret says if its file is there: who answers agrees to it."""
        file = self._file(name)
        return f"; it replaces the one in {file}" if self._exists(file) else ""

    def _may_replace(self, file: str, secret: str, agreed: bool) -> None:
        """Raises Stop if FILE cannot be written, or nobody AGREED to replace what is in it."""
        own = below(self.root, file)
        if not self.given.dry_run:
            new_config.prove_writable(own)
        if (
            agreed
            or self.given.force
            or not self._exists(file)
            or text_in(own).strip() == secret.strip()
        ):
            return
        if not (self.terminal.attended and self.terminal.agrees(f"Replace {file}?", default=False)):
            text = f"{file}: is there already, and holds another secret: --force replaces it"
            raise Stop(text, os.EX_CANTCREAT)


def _nothing() -> Optional[Credential]:
    return None


def _from_stdin(flag: str) -> str:
    """A secret that another program pipes in. Raises Stop."""
    data = sys.stdin.buffer.read(credentials.LONGEST_SECRET) if sys.stdin else b""
    secret = data.decode("utf-8", "replace").rstrip("\r\n")
    if not secret:
        raise Stop(f"{flag} -: nothing came on stdin", USAGE)
    return secret
