"""Which columns does each kind of event have in the warehouse?  Taken from the events themselves."""

from __future__ import annotations

import types
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Literal, Union, get_args, get_origin

from ..domain.events import Event
from ..domain.model_calls import CallTags, Usage, Value

MONEY = "DECIMAL(18,12)"
TABLES = {  # event: its table
    "model_call": "fact_call",
    "story": "fact_story",
    "gate": "fact_gate",
    "merge": "fact_merge",
    "decision": "fact_decision",
    "run": "fact_run",
    "deploy": "fact_deploy",
    "budget": "fact_budget",
    "estimate": "fact_estimate",
}
SQL_TYPES: dict[object, str] = {str: "VARCHAR", int: "BIGINT", float: "DOUBLE", bool: "BOOLEAN", Decimal: MONEY}


def event_models() -> dict[str, type[Value]]:
    """The model of each kind of event."""
    return {str(model.model_fields["event"].default): model for model in get_args(Event)}


def json_columns() -> dict[str, str]:
    """The SQL type of each field that some event has, for reading JSON.

    Raises:
        TypeError: when two events use one name for different types.
    """
    found: dict[str, str] = {}
    for model in event_models().values():
        for name, field in model.model_fields.items():
            kind = "TIMESTAMPTZ" if name == "ts" else _sql_type(field.annotation)
            if found.setdefault(name, kind) != kind:
                raise TypeError(f"two events have a field {name}, one {found[name]} and one {kind}")
    return found


def flat_columns(event: str) -> dict[str, str]:
    """The columns of an event's table, each with the SQL expression that takes it from the JSON."""
    return dict(_flat(event_models()[event]))


def _flat(model: type[Value]) -> Iterator[tuple[str, str]]:
    for name, field in model.model_fields.items():
        if name == "event":
            continue
        if name == "ts":
            yield "ts", "ts AT TIME ZONE 'UTC'"
        elif field.annotation is CallTags:
            yield from ((part, f'tags."{part}"') for part in CallTags.model_fields)
        elif field.annotation is Usage:
            for part in Usage.model_fields:
                yield ("usage_source" if part == "source" else f"tok_{part}"), f'usage."{part}"'
        else:
            yield name, f'"{name}"'


def _sql_type(annotation: Any) -> str:
    if get_origin(annotation) in (types.UnionType, Union):
        annotation = next(part for part in get_args(annotation) if part is not type(None))
    if get_origin(annotation) is Literal:
        return "VARCHAR"
    if isinstance(annotation, type) and issubclass(annotation, Value):
        parts = ((name, _sql_type(field.annotation)) for name, field in annotation.model_fields.items())
        return "STRUCT(" + ", ".join(f'"{name}" {kind}' for name, kind in parts) + ")"
    return SQL_TYPES[annotation]
