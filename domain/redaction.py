"""How does a text look once its secrets are gone?

Known values first, longest first, in plain text, as base64 and as an address writes them; then the shapes of keys that
vendors use (after the rules of gitleaks and detect-secrets). A secret that is split, or encoded in any other way, is
missed; one of an unknown shape has to be known.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping
from typing import TypeVar
from urllib.parse import quote

MASK = "[redacted]"
SHORTEST_SECRET = 8

PATTERNS = tuple(
    re.compile(pattern)
    for pattern in (
        r"sk-ant-[A-Za-z0-9_\-]{6,}",
        r"(?<![A-Za-z0-9])sk-(?:proj-)?[A-Za-z0-9_\-]{16,}",  # not the end of "task-…",
        r"gh[pousr]_[A-Za-z0-9]{20,}",
        r"github_pat_[A-Za-z0-9_]{20,}",
        r"glpat-[\w\-]{16,}",
        r"xox[abprs]-[\w\-]{10,}",
        r"AKIA[0-9A-Z]{16}",
        r"AIza[0-9A-Za-z_\-]{30,}",
        r"eyJ[\w\-]{8,}\.[\w\-]{8,}\.[\w\-]{8,}",
        r"-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)",
        r"(?i:(?<=authorization: )(?:bearer|basic) [^\s'\"]+)",
        r"(?i:(?<=x-api-key: )[^\s'\"]+)",
        r"(?<=://)[^/\s:@]+:[^/\s@]+(?=@)",
    )
)
_SECRET_NAME = re.compile(r"key|secret|token|passw|auth_string|credential", re.IGNORECASE)


T = TypeVar("T")


def forms_of(secret: str) -> set[str]:
    """A secret as plain text, as a part of an address, and as what is certain of it inside base64 text."""
    plain = secret.encode()
    found = {secret, quote(secret, safe=""), quote(secret)}
    for before in range(3):  # how many bytes stand before it in its group of three
        text = base64.b64encode(b"\0" * before + plain).decode()
        end = len(text) - (0, 3, 2)[(before + len(plain)) % 3]
        sure = text[(0, 2, 3)[before] : end]
        found |= {sure, sure.replace("+", "-").replace("/", "_")}
    return found


class Redactor:
    """Takes known secrets and secret shapes out of texts. Its own representation shows none."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        known = {secret for secret in secrets if len(secret) >= SHORTEST_SECRET}
        self._known = tuple(sorted(known, key=lambda secret: (-len(secret), secret)))
        forms = {form for secret in known for form in forms_of(secret)}
        self._forms = tuple(sorted(forms, key=lambda form: (-len(form), form)))

    def known(self, text: str) -> str:
        """The text with known secrets replaced by `MASK`, whatever else looks like one."""
        for form in self._forms:
            text = text.replace(form, MASK)
        return text

    def known_in(self, value: T) -> T:
        """A JSON value with all its texts, names of fields included, without known secrets."""
        if isinstance(value, str):
            return self.known(value)  # type: ignore[return-value]
        if isinstance(value, list):
            return [self.known_in(part) for part in value]  # type: ignore[return-value]
        if isinstance(value, dict):
            return {self.known(name): self.known_in(part) for name, part in value.items()}  # type: ignore[return-value]
        return value

    def __call__(self, text: str) -> str:
        """The text with every secret replaced by `MASK`, known or by its shape."""
        text = self.known(text)
        for pattern in PATTERNS:
            text = pattern.sub(MASK, text)
        return text

    def __repr__(self) -> str:
        return f"Redactor({len(self._known)} known secrets)"

    def knowing(self, secrets: Iterable[str]) -> Redactor:
        """This redactor and more known secrets."""
        return Redactor([*self._known, *secrets])


def secrets_of(environment: Mapping[str, str]) -> list[str]:
    """The values of variables whose name sounds like a secret's, long enough to be one."""
    return [value for name, value in environment.items() if _SECRET_NAME.search(name) and len(value) >= SHORTEST_SECRET]
