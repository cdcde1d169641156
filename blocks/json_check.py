"""Does a JSON value fit a JSON schema?"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

from storyloom.domain import answer_schema
from storyloom.domain.errors import ModelRefused


def must_be_schema(schema: Any) -> None:
    """Check the schema itself.

    Raises:
        ModelRefused: it is no valid JSON schema.
    """
    _validator(answer_schema.text(schema))


def misfits(schema: Any, value: Any) -> list[str]:
    """What is wrong with the value, a line each; empty when it fits."""
    errors = sorted(_validator(answer_schema.text(schema)).iter_errors(value), key=lambda error: str(error.path))
    return [f"{'.'.join(map(str, error.path)) or 'the value'}: {error.message[:300]}" for error in errors]


@lru_cache(maxsize=256)
def _validator(schema: str) -> Any:
    """A validator for a JSON schema given as text.

    Raises:
        ModelRefused: it is no valid schema.
    """
    import jsonschema  # 0.1 s: only when a schema is asked for

    loaded = json.loads(schema)
    kind = jsonschema.validators.validator_for(loaded, default=jsonschema.Draft202012Validator)
    try:
        kind.check_schema(loaded)
    except jsonschema.SchemaError as error:
        raise ModelRefused(f"The request's JSON schema is wrong: {error.message}", remedy="Correct it.") from None
    return kind(loaded)
