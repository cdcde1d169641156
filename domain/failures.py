"""Which of our errors is a provider's failure?  Decided from status, code and wording, the same for every route."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from .errors import (
    ModelBroken,
    ModelBusy,
    ModelError,
    ModelRefused,
    ModelTimeout,
    ModelTooLong,
    ModelUnauthorised,
)

_TOO_LONG = re.compile(
    r"context_length_exceeded|prompt is too long|maximum context length|context window|exceed context limit"
    r"|request_too_large|too many tokens|string_above_max_length",
    re.IGNORECASE,
)
_NO_MONEY = re.compile(
    r"insufficient_quota|exceeded your current quota|credit balance|billing|spend.limit|api usage limits|payment",
    re.IGNORECASE,
)
_OVERLOADED = re.compile(r"overloaded", re.IGNORECASE)
_NOT_ACCEPTED = re.compile(
    r"authentication_error|invalid_api_key|permission_error|incorrect api key|resolve authentication method"
    r"|api_key client option|missing credentials",
    re.IGNORECASE,
)

KEY_REMEDY = "Check the key in its block or environment variable, and what its account may use."
MONEY_REMEDY = "Add credit or raise the account's limit at the provider, then run again."
MODEL_REMEDY = "Check the model's name in the project file's `models` and `agents`, and that the account may use it."
REQUEST_REMEDY = "This request will not pass as it is: see the raw answer in the call journal."
LONG_REMEDY = "Shorten the conversation, or name a model with a larger context window."


def sorted_failure(
    status: int | None,
    text: str,
    *,
    provider: str,
    headers: Mapping[str, str] | None = None,
    now: datetime | None = None,
) -> ModelError:
    """The error for an answer with `status` (None: there was none) whose body or message is `text`, redacted."""
    error = _sorted(status, text, provider, headers or {}, now)
    error.http_status = status
    error.raw = text
    return error


def _sorted(
    status: int | None, text: str, provider: str, headers: Mapping[str, str], now: datetime | None
) -> ModelError:
    said = f"{provider} answered {status or 'with an error'}: {' '.join(text.split())[:300]}"
    if status in (400, 413, 422, None) and (_TOO_LONG.search(text) or status == 413):
        return ModelTooLong(said, remedy=LONG_REMEDY)
    if status == 402 or (status in (400, 403, 429, None) and _NO_MONEY.search(text)):
        return ModelUnauthorised(said, remedy=MONEY_REMEDY)
    if status in (401, 403) or (status is None and _NOT_ACCEPTED.search(text)):
        return ModelUnauthorised(said, remedy=KEY_REMEDY)
    if status in (429, 503, 529) or _OVERLOADED.search(text):
        return ModelBusy(said, retry_after_s=retry_after(headers, now))
    if status in (408, 504):
        return ModelTimeout(said)
    if status == 404:
        return ModelRefused(said, remedy=MODEL_REMEDY)
    if status is not None and 400 <= status < 500 and status != 409:
        return ModelRefused(said, remedy=REQUEST_REMEDY)
    return ModelBroken(said)


def retry_after(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Seconds that the provider asks us to wait: `retry-after-ms`, or `Retry-After` as seconds or as a date."""
    lower = {name.lower(): value for name, value in headers.items()}
    try:
        if "retry-after-ms" in lower:
            return max(0.0, float(lower["retry-after-ms"]) / 1000)
        given = lower.get("retry-after", "").strip()
        if re.fullmatch(r"\d+(\.\d+)?", given):
            return float(given)
        if given and (start := now or _date(lower.get("date", ""))):
            end = parsedate_to_datetime(given)
            return max(0.0, ((end if end.tzinfo else end.replace(tzinfo=UTC)) - start).total_seconds())
    except (ValueError, TypeError):
        return None
    return None


def _date(text: str) -> datetime | None:
    if not text:
        return None
    moment = parsedate_to_datetime(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


_NOTHING_SENT = ("ConnectError", "ConnectTimeout", "UnsupportedProtocol", "LocalProtocolError", "PoolTimeout")
_ANSWER_LOST = (
    *("ReadTimeout", "ReadError", "RemoteProtocolError", "WriteError", "WriteTimeout", "JSONDecodeError"),
    *("APITimeoutError", "APIConnectionError", "APIResponseValidationError", "MidStreamFallbackError", "Timeout"),
)


def may_be_billed(error: BaseException, status: int | None) -> bool:
    """Whether the provider may have worked for a request that ended in `error`.

    Not if the connection failed, or it answered with an error status; yes if its answer was lost or made no sense.
    Client libraries wrap a transport's error and invent a status: the names in the chain of causes go first.
    """
    names: list[str] = []
    link: BaseException | None = error
    while link is not None and len(names) < 20:
        names.append(type(link).__name__)
        link = link.__cause__ or link.__context__
    if any(name in _NOTHING_SENT for name in names):
        return False
    return any(name in _ANSWER_LOST for name in names) or status is None or status < 400
