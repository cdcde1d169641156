"""What do the hand-written conversation files of a folder say, and where is a mistake in them?

A file is a list of entries, or a mapping `{defaults: {…}, entries: […]}`. An entry:

    - persona: amelia                  # "You are Amelia, …" opens the system prompt; left out: anybody
      subject: "Story 1.2 · develop"   # "# Story 1.2 · develop" opens the first user message; `*` and `?` allowed
      turn: 3                          # messages of the assistant already in the request; 0 if left out
      sample: 1                        # only for the 2nd time that the same request comes; any if left out
      expect: [OK, /ran \\d+ tests/]    # what the messages since the assistant's last one must hold
      text: |                          # the reply: text, json or tools (with or without text)
        …
      tools: [{name: write_file, arguments: {path: a.py, content: {file: a.py}}}]
      usage: {input: 10, output: 5}    # counted when left out
      latency_s: 0.2
      stop_reason: max_tokens

`turns: [{…}, {…}]` in an entry stands for one entry a turn, counted from `turn`. Any value `{file: name}` becomes the
text of that file, beside the conversation file or below the folder; no path may leave the folder.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from ..domain.errors import DocumentError
from ..domain.model_calls import Usage
from .script_checks import check_keys, key_line
from .talk import STOPS, Stop, ToolUse

Words = Annotated[tuple[str, ...], BeforeValidator(lambda v: (v,) if isinstance(v, str) else v)]


class Entry(BaseModel):
    """One reply and what it answers. `where` is its file and line."""

    model_config = ConfigDict(frozen=True, extra="forbid", coerce_numbers_to_str=True)

    where: str = ""
    persona: str = "*"
    subject: str = "*"
    turn: int = Field(default=0, ge=0)
    sample: int | None = Field(default=None, ge=0)
    expect: Words = ()
    text: str = ""
    tools: tuple[ToolUse, ...] = ()
    is_json: bool = False
    usage: Usage | None = None
    latency_s: float | None = Field(default=None, ge=0)
    stop: Stop | None = None


def read_folder(folder: Path) -> tuple[Entry, ...]:
    """All entries of the folder's `*.yaml` and `*.yml` files, sub-folders included, in the order of their names.

    Raises:
        DocumentError: with file and line, when a file cannot be read or an entry says something unknown.
    """
    root = folder.resolve()
    if not root.is_dir():
        raise DocumentError("there is no such folder of conversations", path=str(folder))
    files = sorted(path for path in root.rglob("*") if path.suffix in (".yaml", ".yml"))
    if not files:
        raise DocumentError("the folder holds no conversation (*.yaml)", path=str(folder))
    return tuple(entry for path in files for entry in _read_file(path, root, folder))


def _read_file(path: Path, root: Path, folder: Path) -> Iterator[Entry]:
    inside = path.relative_to(root).as_posix()
    name = str(folder / inside)
    loader = yaml.SafeLoader(_text(path, name))
    try:
        tree = loader.get_single_node()
        nodes, defaults = _entry_nodes(tree, loader, name)
        for node in nodes:
            line = node.start_mark.line + 1
            check_keys(node, name)
            raw = loader.construct_document(node)
            if not isinstance(raw, dict):
                raise DocumentError("an entry must be a mapping", path=name, line=line)
            try:
                yield from _entries({**defaults, **raw}, f"{inside}:{line}", path.parent, root)
            except (ValidationError, ValueError, TypeError) as mistake:
                at = key_line(node, mistake.errors()[0]["loc"][0]) if isinstance(mistake, ValidationError) else line
                raise DocumentError(_plain(mistake), path=name, line=at) from mistake
    except yaml.YAMLError as mistake:
        mark = getattr(mistake, "problem_mark", None)
        what = getattr(mistake, "problem", None) or str(mistake)
        remedy = "Mend that line; a text that holds : # * or quotes is best written after `|`."
        raise DocumentError(
            f"this is not YAML: {what}", path=name, line=mark.line + 1 if mark else None, remedy=remedy
        ) from mistake
    finally:
        loader.dispose()


def _text(path: Path, name: str) -> str:
    try:
        raw = path.read_bytes()
    except OSError as mistake:
        raise DocumentError(f"it cannot be read ({mistake.strerror})", path=name) from mistake
    try:
        text = raw.decode("utf-8-sig")
        yaml.reader.Reader(text)
    except UnicodeDecodeError as mistake:
        line = raw.count(b"\n", 0, mistake.start) + 1
        raise DocumentError("the file is not UTF-8", path=name, line=line, remedy="Save it as UTF-8.") from mistake
    except yaml.reader.ReaderError as mistake:
        line = text.count("\n", 0, mistake.position) + 1
        raise DocumentError(
            "a control character is not allowed", path=name, line=line, remedy="Remove it."
        ) from mistake
    return text


def _entry_nodes(tree: Any, loader: yaml.SafeLoader, name: str) -> tuple[list[Any], dict[str, Any]]:
    if isinstance(tree, yaml.SequenceNode):
        return tree.value, {}
    if isinstance(tree, yaml.MappingNode):
        parts = {key.value: value for key, value in tree.value}
        entries = parts.get("entries")
        if isinstance(entries, yaml.SequenceNode):
            check_keys(tree, name, "a conversation file", ("defaults", "entries"))
            if "defaults" not in parts:
                return entries.value, {}
            check_keys(parts["defaults"], name, "an entry")
            defaults = loader.construct_document(parts["defaults"])
            if not isinstance(defaults, dict):
                raise DocumentError("defaults must be a mapping", path=name, line=key_line(tree, "defaults"))
            return entries.value, defaults
    raise DocumentError("expected a list of entries, or {defaults: …, entries: […]}", path=name, line=1)


def _entries(raw: Mapping[str, Any], where: str, beside: Path, root: Path) -> Iterator[Entry]:
    shared = {key: value for key, value in raw.items() if key != "turns"}
    first = shared.get("turn", 0)
    if not isinstance(first, int):
        raise ValueError(f"turn: a whole number is needed, not {first!r}")  # noqa: TRY004 - told as a mistake in the file
    if "turns" not in raw:
        yield _entry(shared, where, beside, root)
        return
    if not isinstance(raw["turns"], list):
        raise ValueError("turns: must be a list")  # noqa: TRY004 - told to the person as a mistake in the file
    for offset, part in enumerate(raw["turns"]):
        number = first + offset
        if not isinstance(part, dict):
            raise ValueError(f"turns: each must be a mapping, not {part!r}")  # noqa: TRY004
        yield _entry({**shared, "turn": number, **part}, f"{where} turn {number}", beside, root)


def _entry(raw: Mapping[str, Any], where: str, beside: Path, root: Path) -> Entry:
    values = dict(raw)
    replies = [key for key in ("text", "json", "tools") if key in values]
    if not replies and "stop_reason" not in values:
        raise ValueError("the entry has no reply: give text, json or tools")
    if "json" in values and len(replies) > 1:
        raise ValueError("json stands alone: give either json, or text and tools")
    values["where"] = where
    if "stop_reason" in values:
        word = values.pop("stop_reason")
        if word not in STOPS:
            raise ValueError(f"stop_reason: {word!r} is not one of {', '.join(STOPS)}")
        values["stop"] = STOPS[word]
    if "json" in values:
        content = _include(values.pop("json"), beside, root, top=True)
        values |= {"text": json.dumps(content, ensure_ascii=False), "is_json": True}
    elif "text" in values:
        values["text"] = _include(values["text"], beside, root)
    tools = []
    for tool in values.get("tools") or ():
        if not isinstance(tool, dict) or set(tool) - {"name", "arguments"} or not isinstance(tool.get("name"), str):
            raise ValueError(f"tools: {tool!r} is not {{name: …, arguments: {{…}}}}")
        arguments = _include(tool.get("arguments") or {}, beside, root, top=True)
        if not isinstance(arguments, dict):
            raise ValueError(f"tools: the arguments of {tool['name']} must be a mapping")  # noqa: TRY004
        tools.append(ToolUse(tool["name"], arguments))
    return Entry.model_validate({**values, "tools": tuple(tools)})


def _include(value: Any, beside: Path, root: Path, *, top: bool = False) -> Any:
    """The value with every `{file: name}` below its top replaced by that file's text."""
    if isinstance(value, dict):
        if not top and set(value) == {"file"}:
            return _file_text(str(value["file"]), beside, root)
        return {key: _include(part, beside, root) for key, part in value.items()}
    if isinstance(value, list):
        return [_include(part, beside, root) for part in value]
    return value


def _file_text(name: str, beside: Path, root: Path) -> str:
    for start in (beside, root):
        path = (start / name).resolve()
        if not path.is_relative_to(root):
            raise ValueError(f"file: {name!r} leaves the folder of conversations")
        if path.is_file():
            return path.read_text(encoding="utf-8")
    raise ValueError(f"file: there is no {name!r} beside the conversation or below its folder")


def _plain(mistake: Exception) -> str:
    if isinstance(mistake, ValidationError):
        return "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in mistake.errors())
    return str(mistake)
