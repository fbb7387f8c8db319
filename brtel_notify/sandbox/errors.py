"""What the sandbox refuses, in the form in which Laravel says it."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional


class Rejected(Exception):
    """A call is answered with an HTTP error.

    `status` is the HTTP status, `message` the text, `errors` the complaints by field (422 only).
    """

    def __init__(
        self, status: int, message: str, errors: Optional[Mapping[str, List[str]]] = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.errors = dict(errors) if errors else None

    def answer(self) -> Dict[str, Any]:
        """Return the JSON object of the answer."""
        if self.errors is None:
            return {"message": self.message}
        return {"message": self.message, "errors": self.errors}


def bad_request(message: str) -> Rejected:
    """Return a 400."""
    return Rejected(400, message)


class NotFound(Rejected):
    """A record is not there; `model` is the name of its class."""

    def __init__(self, model: str, wanted: object) -> None:
        super().__init__(404, f"No query results for model [App\\{model}] {wanted}")
        self.model = model


def not_found(model: str, wanted: object) -> NotFound:
    """Return the 404 of Laravel's ``findOrFail`` for the class name `model`."""
    return NotFound(model, wanted)


def invalid(errors: Mapping[str, List[str]]) -> Rejected:
    """Return a 422 for complaints by field; its message is the first one and a count."""
    texts = [text for complaints in errors.values() for text in complaints]
    more = len(texts) - 1
    tail = f" (and {more} more error{'s' if more > 1 else ''})" if more else ""
    return Rejected(422, texts[0] + tail, errors)


def server_error() -> Rejected:
    """Return the 500 of a Laravel in production, which says nothing."""
    return Rejected(500, "Server Error")
