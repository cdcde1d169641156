"""What was said to a real model and what did it answer, as a readable file without secrets?

A cassette is append-only JSON lines, readable by its owner alone. A line is one take:

    key       sha256 of method, path and canonical body, 24 hex digits
    method, path, model, request    what was asked; the request canonical, secrets gone
    status, headers, chunks         what came back: [seconds since the request, text] each

The canonical body leaves out what does not change the answer (metadata, user, …) and has marks for what differs from
run to run: UUIDs, time stamps, temporary paths, commit ids, loopback ports, measured times. Equal requests have several
takes, played back in their order; the last one sticks, unless the player is strict.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import os
import re
import threading
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ..domain.errors import InputError
from .exchange import Alter, Exchange, Response, body_response, miss, usage_of
from .scrub import Scrubber

IGNORED_FIELDS = frozenset({"metadata", "user", "safety_identifier", "prompt_cache_key", "container", "store"})
MARKS = [
    (re.compile(pattern), mark)
    for pattern, mark in (
        (r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", "<uuid>"),
        (r"\b20\d\d-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:Z|[+-]\d\d:?\d\d)?", "<time>"),
        (r"(?:/private)?(?:/var)?/tmp/[\w./+-]+|/var/folders/[\w./+-]+", "<temporary path>"),
        (r"\b(?:127\.0\.0\.1|localhost|\[::1\]):\d{2,5}\b", "<loopback>"),
        (r"\b[0-9a-f]{40}\b", "<commit>"),
        (r"\bin \d+(?:\.\d+)?\s?m?s\b", "in <seconds>"),
    )
]
DIFF_LINES = 40
REMEDY = "Name a file that `storyloom rehearse record` has written."


def canonical(value: Any, scrubber: Scrubber, ignore: Iterable[re.Pattern[str]] = ()) -> Any:
    """A request's body with marks for what differs from run to run, and without secrets."""
    if isinstance(value, dict):
        kept = sorted((key, part) for key, part in value.items() if key not in IGNORED_FIELDS)
        return {key: canonical(part, scrubber, ignore) for key, part in kept}
    if isinstance(value, list):
        return [canonical(part, scrubber, ignore) for part in value]
    if isinstance(value, str):
        text = scrubber.text(value)
        for pattern in ignore:
            text = pattern.sub("<ignored>", text)
        for pattern, mark in MARKS:
            text = pattern.sub(mark, text)
        return text
    return value


def key_of(method: str, path: str, request: Any) -> str:
    """The name under which takes of a canonical request are kept."""
    text = f"{method} {path}\n" + json.dumps(request, ensure_ascii=False, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def _pattern(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as error:
        raise InputError(
            f"{text!r} is no regular expression: {error}.",
            remedy="Put a backslash before signs that stand for themselves.",
        ) from error


class Cassette:
    """A file of takes. Safe for many threads; a torn last line is left out and counted in `torn`."""

    def __init__(self, path: str | Path, *, known_secrets: Iterable[str] = (), ignore: Iterable[str] = ()) -> None:
        self.path = Path(path)
        self.scrubber = Scrubber(known_secrets)
        self.ignore = tuple(_pattern(text) for text in ignore)
        self.takes: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
        self.torn = 0
        self._lock = threading.Lock()
        if self.path.exists():
            self._read()

    def _read(self) -> None:
        try:
            lines = self.path.read_text(encoding="utf-8").split("\n")
        except (OSError, UnicodeDecodeError) as mistake:
            why = getattr(mistake, "strerror", None) or "it is no UTF-8"
            raise InputError(f"{self.path}: no cassette can be read here ({why}).", remedy=REMEDY) from mistake
        for number, line in enumerate(lines, start=1):
            try:
                take = json.loads(line) if line.strip() else None
            except ValueError as mistake:
                if number == len(lines) and number > 1:
                    self.torn = 1
                    return
                raise InputError(
                    f"{self.path}:{number}: this line of the cassette is not JSON.",
                    remedy=f"Delete the line. {REMEDY}" if number == 1 else "Delete the line.",
                ) from mistake
            if take is None:
                continue
            if not isinstance(take, dict) or not {"key", "path", "request", "status", "chunks"} <= set(take):
                raise InputError(f"{self.path}:{number}: this line is no take of a cassette.", remedy=REMEDY)
            self.takes[take["key"]].append(take)

    def require_writable(self) -> None:
        """Refuse before the first call of a model what could not be kept after it.

        Raises:
            InputError: the file cannot be written.
        """
        is_new = not self.path.exists()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600))
            if is_new:
                self.path.unlink()
        except OSError as error:
            raise InputError(
                f"{self.path}: the cassette cannot be written ({error.strerror}).",
                remedy="Name a file in a folder that you may write to.",
            ) from error

    def request_of(self, body: bytes) -> Any:
        """The canonical request that a body holds; a body that is not JSON stands for itself, as a text."""
        try:
            value = json.loads(body) if body else {}
        except ValueError:
            value = body.decode("utf-8", "replace")
        return canonical(value, self.scrubber, self.ignore)

    def add(self, exchange: Exchange, status: int, headers: dict[str, str], chunks: list[tuple[float, str]]) -> None:
        """Append a take, without secrets. One write of one line."""
        request = self.request_of(exchange.body)
        model = request.get("model", "") if isinstance(request, dict) else ""
        take = {
            "key": key_of(exchange.method, exchange.path, request),
            "method": exchange.method,
            "path": exchange.path,
            "model": model,
            "request": request,
            "status": status,
            "headers": {name: self.scrubber.text(value) for name, value in headers.items()},
            "chunks": self._clean(chunks, headers.get("content-type", "")),
        }
        line = json.dumps(take, ensure_ascii=False) + "\n"
        with self._lock:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            try:
                os.fchmod(file, 0o600)
                os.write(file, line.encode())
            finally:
                os.close(file)
            self.takes[take["key"]].append(take)

    def _clean(self, chunks: list[tuple[float, str]], kind: str) -> list[list[float | str]]:
        whole = "".join(text for _, text in chunks)
        clean = self.scrubber.events(whole) if "event-stream" in kind else self.scrubber.text(whole)
        if clean == whole:
            return [[round(wait, 4), text] for wait, text in chunks]
        if "event-stream" not in kind:
            return [[round(chunks[0][0], 4), clean]]
        frames = [frame + "\n\n" for frame in clean.split("\n\n") if frame.strip()]
        waits = [wait for wait, _ in chunks]
        return [[round(waits[min(number, len(waits) - 1)], 4), frame] for number, frame in enumerate(frames)]


class Player:
    """Plays a cassette back. `speed` 1 keeps the recorded times, 0 answers at once."""

    def __init__(self, cassette: Cassette, *, strict: bool = False, speed: float = 0.0) -> None:
        self.cassette, self.strict, self.speed = cassette, strict, speed
        self._played: defaultdict[str, int] = defaultdict(int)
        self._lock = threading.Lock()

    def respond(self, exchange: Exchange, alter: Alter | None) -> Response:
        """The next take of the request, or a miss that says how the nearest recorded request differs."""
        if alter:
            error = exchange.wire.error("invalid_request_error", "this fault cannot be played over a recording")
            return body_response(400, error, {"x-should-retry": "false"}, note="rehearsal_miss")
        request = self.cassette.request_of(exchange.body)
        key = key_of(exchange.method, exchange.path, request)
        with self._lock:
            takes, number = self.cassette.takes.get(key, []), self._played[key]
            if takes and (number < len(takes) or not self.strict):
                self._played[key] += 1
                take = takes[min(number, len(takes) - 1)]
            else:
                take = None
        if take is None:
            if takes:
                return miss(exchange.wire, f"rehearsal miss: all {len(takes)} takes of this request are played.")
            return miss(exchange.wire, self._nearest(exchange, request))
        chunks = self._paced(take["chunks"])
        usage = usage_of(exchange.wire, b"".join(data for _, data in chunks))
        return Response(take["status"], take["headers"], chunks, usage=usage, note=f"take {key} {number + 1}")

    def _paced(self, chunks: list[list[Any]]) -> list[tuple[float, bytes]]:
        paced, before = [], 0.0
        for at, text in chunks:
            paced.append(((at - before) * self.speed, str(text).encode()))
            before = at
        return paced

    def _nearest(self, exchange: Exchange, request: Any) -> str:
        asked = _pretty(request)
        recorded = [take for takes in self.cassette.takes.values() for take in takes[:1]]
        near = [take for take in recorded if take["path"] == exchange.path] or recorded
        if not near:
            return f"rehearsal miss: {self.cassette.path.name} holds no take."
        best = max(near, key=lambda take: _alike(_pretty(take["request"]), asked))
        lines = difflib.unified_diff(_pretty(best["request"]), asked, "recorded", "asked", lineterm="", n=1)
        return f"rehearsal miss: no take of this request.\nnearest {best['key']}\n" + "\n".join(
            line[:300] for line, _ in zip(lines, range(DIFF_LINES), strict=False)
        )


def _pretty(request: Any) -> list[str]:
    """A request as lines, texts broken at their own line ends."""
    return json.dumps(request, ensure_ascii=False, indent=1).replace("\\n", "\n").splitlines()


def _alike(one: list[str], other: list[str]) -> int:
    """How many lines two texts share, wherever they stand."""
    return 2 * len(set(one) & set(other)) - abs(len(one) - len(other))
