"""How does a link carry an answer so that nobody can forge, alter or use it twice?

A link names a question, an answer, a person and an hour of expiry, signed with HMAC-SHA256 over all of them and over
the digest of what is approved: when that changes, the link is void. "Once" follows from the rule that the first answer
wins.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json

from pydantic import ValidationError

from .model_calls import Value

VERSION = "1"
MAX_LENGTH = 4096


class Ticket(Value):
    """What a link says. `expires` is in seconds since 1970; an empty `answer` lets the person choose."""

    project: str
    question: str
    by: str
    expires: int
    answer: str = ""
    digest: str = ""


class BadTicket(ValueError):
    """A link that does not hold; the text says why, without telling what would."""


def sign(ticket: Ticket, key: bytes) -> str:
    """The ticket as one word that is safe in a URL."""
    body = json.dumps(ticket.model_dump(), sort_keys=True, separators=(",", ":")).encode()
    return f"{VERSION}.{_text(body)}.{_text(_mac(body, key))}"


def read(word: str, key: bytes, now: float) -> Ticket:
    """The ticket that a word carries.

    Raises:
        BadTicket: it was altered, signed with another key, or has expired.
    """
    parts = word.split(".")
    if len(word) > MAX_LENGTH or len(parts) != 3 or parts[0] != VERSION:
        raise BadTicket("This link is not complete.")
    try:
        body, mac = _bytes(parts[1]), _bytes(parts[2])
    except (binascii.Error, ValueError):
        raise BadTicket("This link is not complete.") from None
    if not hmac.compare_digest(mac, _mac(body, key)):
        raise BadTicket("This link was not made here, or was altered.")
    try:
        ticket = Ticket.model_validate_json(body)
    except ValidationError:
        raise BadTicket("This link cannot be read.") from None
    if now >= ticket.expires:
        raise BadTicket("This link has expired.")
    return ticket


def _mac(body: bytes, key: bytes) -> bytes:
    return hmac.new(key, VERSION.encode() + b"." + body, hashlib.sha256).digest()


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(text.encode() + b"=" * (-len(text) % 4))
