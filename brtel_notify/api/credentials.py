"""Where the bearer token comes from: given, a file, the environment, or a login; and its cache.

Nothing here speaks to the network: :class:`Tokens` is handed a function that logs in.
"""

from __future__ import annotations

import json
import os
import stat
import threading
from typing import Callable, Optional, Tuple

from brtel_notify.api.exceptions import CredentialsError
from brtel_notify.local import files
from brtel_notify.local.log import warn

#: A token or password file longer than this (bytes) is not one.
LONGEST_SECRET = 64 * 1024


class Credentials:
    """What the operator configured to authenticate with; the first of these that is set is used.

    ``token``, then ``token_file`` (a path), then ``environment_token`` (the value of
    $BRTEL_TOKEN, if it is not empty), then ``email`` with ``password_file`` (a path).
    ``source`` says which, for messages, and never the secret; ``by_login``: a token has to be
    fetched with email and password (POST /login); ``by_file``: it is read from ``token_file``.
    """

    def __init__(
        self,
        *,
        token: Optional[str] = None,
        token_file: Optional[str] = None,
        environment_token: Optional[str] = None,
        email: Optional[str] = None,
        password_file: Optional[str] = None,
    ) -> None:
        self._token = token
        self._environment_token = environment_token
        self.token_file = token_file
        self.email = email
        self.password_file = password_file
        self.by_file = self.by_login = False
        self.source = "none"
        if token is not None:
            self.source = "api.token"
        elif token_file:
            self.source, self.by_file = f"the token file {token_file}", True
        elif environment_token:
            self.source = "$BRTEL_TOKEN"
        elif email:
            self.source, self.by_login = f"a login as {email}", True

    def __repr__(self) -> str:
        return f"<Credentials: {self.source}>"

    def given_token(self) -> str:
        """The token that needs no login. Raises CredentialsError if it is missing or malformed."""
        if self._token is not None:
            return checked_token(self._token.strip(), "api.token")
        if self.token_file:
            text = _read_secret(self.token_file, "api.token_file").strip()
            return checked_token(text, self.token_file)
        if self._environment_token:
            return checked_token(self._environment_token.strip(), "$BRTEL_TOKEN")
        raise CredentialsError(
            "no credential: set api.token_file (or api.token, or $BRTEL_TOKEN,"
            " or api.email with api.password_file)"
        )

    def login(self) -> Tuple[str, str]:
        """Email and password for POST /login. Raises CredentialsError if either is missing."""
        if not self.email:
            raise CredentialsError("cannot log in: api.email and api.password_file are not set")
        if not self.password_file:
            raise CredentialsError("cannot log in: api.email is set, but api.password_file is not")
        # Only the line end goes: a password may begin or end with a space.
        password = _read_secret(self.password_file, "api.password_file").rstrip("\r\n")
        if not password:
            raise CredentialsError(f"{self.password_file} is empty: write the password into it")
        return self.email, password


def checked_token(token: str, source: str) -> str:
    """TOKEN, if it can stand in an Authorization header, else CredentialsError naming SOURCE."""
    if not token:
        raise CredentialsError(f"{source} is empty: write the API token into it")
    if not all("!" <= char <= "~" for char in token):
        raise CredentialsError(
            f"{source} does not hold a token: there are spaces, control or non-ASCII characters"
            " in it; write the token alone, without 'Bearer'"
        )
    return token


def _read_secret(path: str, setting: str) -> str:
    try:
        with open(path, "rb") as file:
            content = file.read(LONGEST_SECRET + 1)
    except (OSError, ValueError) as error:
        # ValueError: a NUL in the path.
        reason = getattr(error, "strerror", None) or "not a file name"
        raise CredentialsError(
            f"{path} ({setting}) cannot be read: {reason};"
            " it must exist and be readable by the user that runs brtel-notify"
        ) from None
    text = content.decode("utf-8-sig", "replace")
    if len(content) > LONGEST_SECRET or "\ufffd" in text or "\0" in text:
        raise CredentialsError(f"{path} ({setting}) is not a text file that holds one secret")
    return text


class TokenCache:
    """The token of the last login, in a file that only its owner (or group) can read.

    It belongs to one URL and one email: another configuration does not get its token. The cache
    saves logins and nothing depends on it, so whatever is wrong with it means "not cached".
    """

    def __init__(self, path: str, url: str, email: str) -> None:
        self.path = path
        self._owner = {"url": url, "email": email}

    def read(self) -> Optional[str]:
        """The cached token, or None: no file, somebody else's, a symbolic link, world-readable."""
        try:
            # O_NONBLOCK: a FIFO in its place must not hang us.
            handle = os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            with open(handle, "rb") as file:
                mode = os.fstat(handle).st_mode
                if not stat.S_ISREG(mode) or mode & stat.S_IRWXO:
                    return None
                data = json.loads(file.read(LONGEST_SECRET))
        except (OSError, ValueError, RecursionError):
            return None
        if not isinstance(data, dict) or any(data.get(k) != v for k, v in self._owner.items()):
            return None
        token = data.get("token")
        try:
            return checked_token(token, self.path) if isinstance(token, str) else None
        except CredentialsError:
            return None

    def write(self, token: str) -> None:
        """Replace the cached token, atomically: mode 0600, or 0660 in a group-writable folder."""
        record = json.dumps({**self._owner, "token": token})
        try:
            files.write_whole(self.path, record.encode("ascii"))
        except OSError as error:
            warn(f"the login token is not cached: {self.path}: {error.strerror}")


class Tokens:
    """The token in use, shared by threads; when it is needed anew, only one of them fetches it."""

    def __init__(
        self, credentials: Credentials, cache: Optional[TokenCache], log_in: Callable[[], str]
    ) -> None:
        self._credentials = credentials
        self._cache = cache
        self._log_in = log_in
        self._lock = threading.Lock()
        self._token: Optional[str] = None
        self._failures = 0
        self._failure: Optional[Exception] = None

    def __repr__(self) -> str:
        return f"<Tokens: {self._credentials.source}>"

    def current(self) -> str:
        """The token to send. Raises CredentialsError, or whatever the login raises."""
        return self._token or self._fetch_once(None)

    def renew(self, refused: str) -> Optional[str]:
        """Another token than REFUSED (which got a 401), or None if there is none to be had."""
        if not (self._credentials.by_login or self._credentials.by_file):
            return None
        token = self._fetch_once(refused)
        return None if token == refused else token

    def adopt(self, token: str) -> None:
        """Use TOKEN, just obtained by a login, from now on."""
        with self._lock:
            self._keep(token)

    def _fetch_once(self, refused: Optional[str]) -> str:
        failures = self._failures
        with self._lock:
            if self._token is not None and self._token != refused:
                return self._token  # another thread was faster
            if self._failure is not None and self._failures != failures:
                # Another thread failed while this one waited for the lock: paying for the same
                # time-out once more would not help.
                raise self._failure
            try:
                self._token = self._fetch(refused)
            except Exception as error:
                self._failures += 1
                self._failure = error
                raise
            return self._token

    def _fetch(self, refused: Optional[str]) -> str:
        if not self._credentials.by_login:
            return self._credentials.given_token()
        cached = self._cache.read() if self._cache else None
        if cached is not None and cached != refused:
            return cached  # perhaps another process has logged in since
        token = self._log_in()
        self._keep(token)
        return token

    def _keep(self, token: str) -> None:
        self._token = token
        if self._cache:
            self._cache.write(token)
