"""Which tools does a developer have, and what do the arguments of a call mean?"""

from __future__ import annotations

import json
from typing import Any

from pydantic import Field, JsonValue, ValidationError

from .model_calls import Message, ToolCall, ToolSpec, Value
from .stories import TestReport


class ListFiles(Value):
    """Show a folder."""

    path: str = "."
    depth: int = Field(default=2, ge=1, le=12)


class ReadFile(Value):
    """Show lines `start` to `end` of a file, both included; `end` None reads on as far as fits."""

    path: str
    start: int = Field(default=1, ge=1)
    end: int | None = Field(default=None, ge=1)


class Search(Value):
    """Find lines by a regular expression."""

    pattern: str = Field(min_length=1)
    path: str = "."


class Edit(Value):
    """One search/replace pair."""

    search: str
    replace: str


class EditFile(Value):
    """Change a file, all edits or none."""

    path: str
    edits: tuple[Edit, ...] = Field(min_length=1)


class WriteFile(Value):
    """Make a file hold a text."""

    path: str
    content: str


class DeleteFile(Value):
    """Remove a file."""

    path: str


class Run(Value):
    """Run a shell command in the sandbox."""

    command: str = Field(min_length=1)


class RunTests(Value):
    """Run the project's tests in the sandbox."""


class Ask(Value):
    """Ask a person, with what the agent would do itself."""

    question: str = Field(min_length=1)
    options: tuple[str, ...] = ()
    recommendation: str = ""
    confidence: float = Field(default=0.0, ge=0, le=1)
    reasoning: str = ""


class Finish(Value):
    """Say that the story is done."""

    summary: str = Field(min_length=1)
    notes: str = ""


Action = ListFiles | ReadFile | Search | EditFile | WriteFile | DeleteFile | Run | RunTests | Ask | Finish

ACTIONS: dict[str, type[Action]] = {
    "list_files": ListFiles,
    "read_file": ReadFile,
    "search": Search,
    "edit_file": EditFile,
    "write_file": WriteFile,
    "delete_file": DeleteFile,
    "run": Run,
    "run_tests": RunTests,
    "ask": Ask,
    "finish": Finish,
}


class Refusal(Value):
    """Why a call was not carried out, in words that help to mend it."""

    message: str


class ToolOutcome(Value):
    """What came of one call. `content` is what the model is told; the rest is for the loop.

    `changed` says that this call changed a file; what a command changed shows in the checkpoint. `question` waits for
    an answer (see `answered`); `finish` was accepted.
    """

    call_id: str
    name: str
    ok: bool
    content: str = ""
    changed: bool = False
    tests: TestReport | None = None
    question: Ask | None = None
    finish: Finish | None = None

    def as_message(self) -> Message:
        """The message that answers the call."""
        return Message(role="tool", content=self.content, tool_call_id=self.call_id)

    def answered(self, answer: str, source: str = "person") -> ToolOutcome:
        """The same outcome with the answer to its question."""
        return self.model_copy(update={"content": f"Answer ({source}): {answer}"})


def parse_call(call: ToolCall) -> Action | Refusal:
    """The action that a call asks for, or what is wrong with it."""
    action = ACTIONS.get(call.name)
    if action is None:
        return Refusal(message=f"There is no tool {call.name!r}. The tools are {', '.join(ACTIONS)}.")
    if "_raw" in call.arguments and "_raw" not in action.model_fields:
        raw = str(call.arguments["_raw"])[:200]
        return Refusal(message=f"The arguments of {call.name} are not a JSON object: {raw!r}. Send the call again.")
    given = {name: value for name, value in call.arguments.items() if value is not None}
    try:
        return action.model_validate(_unpacked(given))
    except ValidationError as error:
        told = "; ".join(_problem(dict(problem)) for problem in error.errors()[:4])
        return Refusal(message=f"{call.name}: {told}. It takes {_usage(call.name)}.")


def _unpacked(given: dict[str, Any]) -> dict[str, Any]:
    """Arguments with lists that were sent as JSON text, or as one object, made lists again."""
    unpacked = dict(given)
    for name in ("edits", "options"):
        value = unpacked.get(name)
        if isinstance(value, str):
            try:
                value = json.loads(value)
            except (ValueError, RecursionError):
                continue
        unpacked.update({name: [value] if isinstance(value, dict) else value} if value is not None else {})
    return unpacked


def _problem(problem: dict[str, Any]) -> str:
    where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in problem["loc"]).lstrip(".")
    said = {"missing": "is missing", "extra_forbidden": "is not an argument"}.get(problem["type"], problem["msg"])
    return f"`{where}` {said}" if where else str(said)


def _usage(name: str) -> str:
    parameters: Any = SPECS[name].parameters
    required = parameters["required"]
    named = [f"`{key}`" if key in required and not _nullable(key, name) else f"`{key}` (optional)" for key in required]
    return ", ".join(named) or "no arguments"


def _nullable(key: str, name: str) -> bool:
    parameters: Any = SPECS[name].parameters
    return isinstance(parameters["properties"][key].get("type"), list)


def _text(description: str) -> dict[str, JsonValue]:
    return {"type": "string", "description": description}


def _optional(kind: str, description: str) -> dict[str, JsonValue]:
    return {"type": [kind, "null"], "description": description}


def _spec(name: str, description: str, properties: dict[str, JsonValue]) -> ToolSpec:
    """A tool in the strict form that providers share: every property required, optional ones nullable."""
    parameters: dict[str, JsonValue] = {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
    return ToolSpec(name=name, description=description, parameters=parameters)


_EDIT: dict[str, JsonValue] = {
    "type": "object",
    "properties": {
        "search": _text("Text that stands exactly once in the file: whole lines, copied with their indentation."),
        "replace": _text("What stands there instead; empty to delete."),
    },
    "required": ["search", "replace"],
    "additionalProperties": False,
}

TOOLS: tuple[ToolSpec, ...] = (
    _spec(
        "list_files",
        "List files and folders of the project.",
        {
            "path": _optional("string", 'Folder, relative to the project; null for ".".'),
            "depth": _optional("integer", "How many levels deep, 1 to 12; null for 2."),
        },
    ),
    _spec(
        "read_file",
        "Read a text file with line numbers. The numbers and the bar are not part of the file.",
        {
            "path": _text("File, relative to the project."),
            "start": _optional("integer", "First line, counted from 1; null for 1."),
            "end": _optional("integer", "Last line, included; null to read on."),
        },
    ),
    _spec(
        "search",
        "Find lines that match a regular expression.",
        {
            "pattern": _text("Python regular expression."),
            "path": _optional("string", 'Folder or file to search; null for ".".'),
        },
    ),
    _spec(
        "edit_file",
        "Change a file by search and replace, all edits or none. A search text that is missing or stands at several "
        "places is refused with the closest lines.",
        {"path": _text("File, relative to the project."), "edits": {"type": "array", "items": _EDIT}},
    ),
    _spec(
        "write_file",
        "Create a file or replace the whole of a small one.",
        {"path": _text("File, relative to the project."), "content": _text("The whole text of the file.")},
    ),
    _spec("delete_file", "Delete a file.", {"path": _text("File, relative to the project.")}),
    _spec(
        "run",
        "Run a shell command in the project's folder, in a sandbox without network and with limits.",
        {"command": _text("Command for bash.")},
    ),
    _spec("run_tests", "Run the project's tests and see what fails.", {}),
    _spec(
        "ask",
        "Ask a person when the documents leave a decision open that is not yours to make.",
        {
            "question": _text("One question that can be answered without reading the code."),
            "options": {"type": "array", "items": {"type": "string"}, "description": "The possible answers."},
            "recommendation": _text("The answer you would choose."),
            "confidence": {"type": "number", "description": "How sure you are of it, from 0 to 1."},
            "reasoning": _text("Why, in a sentence or two."),
        },
    ),
    _spec(
        "finish",
        "Say that every acceptance criterion is met and the tests pass. The tests are run again and a reviewer looks.",
        {
            "summary": _text("What was done, for the reviewer and the story's record."),
            "notes": _optional("string", "What developers of later stories should know; null for none."),
        },
    ),
)

SPECS: dict[str, ToolSpec] = {spec.name: spec for spec in TOOLS}
