"""How does a text look once its secrets are gone?

Known values first, longest first, then the shapes of keys that vendors use (after the rules of gitleaks and
detect-secrets). A secret that is split, encoded or of an unknown shape is missed: known values are the real protection.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

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


class Redactor:
    """Takes known secrets and secret shapes out of texts. Its own representation shows none."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        known = {secret for secret in secrets if len(secret) >= SHORTEST_SECRET}
        self._known = tuple(sorted(known, key=lambda secret: (-len(secret), secret)))

    def known(self, text: str) -> str:
        """The text with known secrets replaced by `MASK`, whatever else looks like one."""
        for secret in self._known:
            text = text.replace(secret, MASK)
        return text

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
