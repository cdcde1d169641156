"""How does a message reach people: chat, mail, or a webhook of the operator's own?

Addresses are apprise URLs (`slack://…`, `msteams://…`, `mailtos://…`, `json://host/path`) and secrets: they come from
the environment or a Prefect Secret block, by the channel's name, and never appear in a message or a log. A plain
`https://` address gets a JSON document by POST, signed if a key is given.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import urllib.error
import urllib.request
from collections.abc import Callable
from urllib.parse import urlsplit

TIMEOUT_S = 10.0
TYPES = {"critical": "failure", "important": "warning", "normal": "info"}

Addresses = Callable[[str], str]
"""Gives a channel's address, "" when there is none."""


def variable(channel: str) -> str:
    """The environment variable in which a channel's address stands."""
    return "STORYLOOM_NOTIFY_" + re.sub(r"[^A-Z0-9]+", "_", channel.upper())


def block_name(channel: str) -> str:
    """The Prefect Secret block in which a channel's address stands."""
    return "storyloom-notify-" + re.sub(r"[^a-z0-9]+", "-", channel.lower()).strip("-")


class AppriseNotifier:
    """Sends through apprise, and to plain web addresses by the standard library."""

    def __init__(self, addresses: Addresses, *, key: bytes = b"", timeout_s: float = TIMEOUT_S) -> None:
        self._addresses, self._key, self._timeout_s = addresses, key, timeout_s

    def send(self, channel: str, title: str, body: str, severity: str) -> str:
        """ "" when the message was taken, else why not; the address is never told."""
        address = self._addresses(channel)
        if not address:
            return f"{channel} has no address: set {variable(channel)} or the Secret block {block_name(channel)}."
        if address.startswith(("http://", "https://")):
            return self._post(address, {"title": title, "body": body, "severity": severity, "channel": channel})
        return self._apprise(channel, address, title, body, severity)

    def _post(self, address: str, message: dict[str, str]) -> str:
        data = json.dumps(message, ensure_ascii=False).encode()
        headers = {"Content-Type": "application/json", "User-Agent": "storyloom"}
        if self._key:
            headers["X-Storyloom-Signature"] = "sha256=" + hmac.new(self._key, data, hashlib.sha256).hexdigest()
        request = urllib.request.Request(address, data=data, headers=headers, method="POST")  # noqa: S310 - checked above
        try:
            with _opener().open(request, timeout=self._timeout_s) as reply:
                return "" if reply.status < 300 else f"The webhook answered {reply.status}."
        except urllib.error.HTTPError as error:
            return f"The webhook answered {error.code}."
        except (urllib.error.URLError, OSError, ValueError) as error:
            return f"The webhook at {urlsplit(address).hostname} cannot be reached ({type(error).__name__})."

    def _apprise(self, channel: str, address: str, title: str, body: str, severity: str) -> str:
        from apprise import Apprise, NotifyFormat

        sender = Apprise()
        if not sender.add(address):
            return f"The address of {channel} is none that apprise knows."
        sent = sender.notify(body=body, title=title, notify_type=TYPES[severity], body_format=NotifyFormat.TEXT)
        return "" if sent else f"{channel} did not take the message."


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        """No redirect is followed: it could lead anywhere."""


def _opener() -> urllib.request.OpenerDirector:
    return urllib.request.build_opener(_NoRedirects)
