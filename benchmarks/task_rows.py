"""What may a line of a task file hold, in each of the three layouts?

Nothing is converted but a number that stands for an id; `null` is the same as a field that is left out.
"""

from __future__ import annotations

import json
from typing import Annotated, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import PydanticSerializationError


def _as_text(value: object) -> object:
    return str(value) if type(value) is int else value


Id = Annotated[str, BeforeValidator(_as_text)]


class Row(BaseModel):
    """A line; fields that its layout does not know are left aside."""

    model_config = ConfigDict(strict=True, frozen=True)


class Edit(Row):
    """A search/replace pair of a reference solution."""

    path: str
    search: str
    replace: str


class OwnRow(Row):
    """Our own layout."""

    id: Id
    test: str
    title: Id = ""
    text: str = ""
    given: dict[str, str] = Field(default_factory=dict)
    solution: dict[str, str] = Field(default_factory=dict)
    edits: list[Edit] = Field(default_factory=list)
    depends_on: list[Id] = Field(default_factory=list)
    together: bool = False


class HumanEvalRow(Row):
    """HumanEval's layout."""

    task_id: Id
    prompt: str
    canonical_solution: str
    test: str
    entry_point: str


class MbppRow(Row):
    """MBPP's layout; its sanitized form calls the text a prompt."""

    task_id: Id
    code: str
    test_list: list[str]
    text: str = ""
    prompt: str = ""
    test_imports: list[str] = Field(default_factory=list)
    test_setup_code: str = ""
    challenge_test_list: list[str] = Field(default_factory=list)


AnyRow = OwnRow | HumanEvalRow | MbppRow
Kind = TypeVar("Kind", OwnRow, HumanEvalRow, MbppRow)


def read_row(line: str) -> AnyRow:
    """The fields of a line.

    Raises:
        ValueError: it is no JSON object, or a field is missing or holds something else; says which.
    """
    try:
        row = json.loads(line)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not isinstance(row, dict):
        raise ValueError("not a JSON object; a set holds one object to a line")
    there = {name: value for name, value in row.items() if value is not None}
    if "canonical_solution" in there:
        return _checked(HumanEvalRow, there)
    return _checked(MbppRow, there) if "test_list" in there else _checked(OwnRow, there)


def _checked(kind: type[Kind], row: dict[str, object]) -> Kind:
    try:
        read = kind.model_validate(row)
        read.model_dump_json()
        return read
    except PydanticSerializationError:
        raise ValueError("a text holds half of a surrogate pair") from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(map(str, first["loc"]))
        if first["type"] == "missing":
            raise ValueError(f"the field {field!r} is missing") from None
        raise ValueError(f"the field {field!r}: {first['msg']}") from None
