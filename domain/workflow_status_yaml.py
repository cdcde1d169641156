"""What does a bmm-workflow-status.yaml say, flat or by phases, and how is one value of it changed?"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Literal

import yaml

from .errors import DocumentError
from .workflow_items import NEEDS, PENDING, WorkflowItem, WorkflowStatus, judge_value
from .workflow_tree import Note

SECTION = "workflow_status"


def read_yaml(text: str, path: str) -> WorkflowStatus:
    """The status file in this YAML text."""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        why = getattr(error, "problem", None) or "nested too deeply"
        note = Note(path, mark.line + 1 if mark else 1, f"is not valid YAML ({why}); mend this line", "error")
        return WorkflowStatus(path, "none", notes=(note,))
    if not isinstance(root, yaml.MappingNode):
        note = Note(path, 1, "is not a mapping; it needs `project:` and `workflow_status:`", "error")
        return WorkflowStatus(path, "none", notes=(note,))
    pairs = [(str(key.value), value) for key, value in root.value if isinstance(key, yaml.ScalarNode)]
    fields = {key.lower(): str(value.value) for key, value in pairs if isinstance(value, yaml.ScalarNode)}
    section = next((value for key, value in pairs if key == SECTION), None)
    if section is None or isinstance(section, yaml.ScalarNode):
        line = section.start_mark.line + 1 if section else 1
        note = Note(path, line, f"has no workflows below `{SECTION}:`", "error")
        return WorkflowStatus(path, "none", fields=fields, notes=(note,))
    items = tuple(_items(section, "", 0))
    notes = []
    seen: dict[str, int] = {}
    for item in items:
        if item.id in seen:
            said = f"`{item.id}` stands twice, first on line {seen[item.id]}; the first is read"
            notes.append(Note(path, item.line, said, "error"))
        seen.setdefault(item.id, item.line)
        if item.state == "pending" and not item.need and item.raw.lower() not in PENDING:
            notes.append(Note(path, item.line, f"`{item.raw}` is neither a need, a path nor skipped; read as not done"))
    shape: Literal["flat", "phases"] = "flat" if isinstance(section, yaml.MappingNode) else "phases"
    return WorkflowStatus(path, shape, items, fields, notes=tuple(notes))


def _items(node: yaml.Node, phase: str, depth: int) -> Iterator[WorkflowItem]:
    """Every workflow below a node: `id: value` pairs, `{id, status}` maps, and lists or phases of them."""
    if depth > 6:
        return
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _items(item, phase, depth + 1)
    if not isinstance(node, yaml.MappingNode):
        return
    fields = {str(key.value): value for key, value in node.value if isinstance(key, yaml.ScalarNode)}
    if "id" in fields:
        yield _item(_word(fields["id"]), fields.get("status"), fields, phase, node.start_mark.line + 1)
        return
    if "workflows" in fields:
        name = _word(fields.get("name")) or _word(fields.get("phase")) or phase
        yield from _items(fields["workflows"], name, depth + 1)
        return
    for key, value in node.value:
        name = _word(key)
        inner = (
            {str(key.value): part for key, part in value.value if isinstance(key, yaml.ScalarNode)}
            if isinstance(value, yaml.MappingNode)
            else {}
        )
        if isinstance(value, yaml.ScalarNode):
            yield _item(name, value, {}, phase, value.start_mark.line + 1)
        elif "status" in inner:
            yield _item(name, inner["status"], inner, phase, value.start_mark.line + 1)
        else:
            yield from _items(value, name, depth + 1)


def _item(name: str, value: yaml.Node | None, fields: Mapping[str, yaml.Node], phase: str, line: int) -> WorkflowItem:
    raw = _word(value)
    state, need, file = judge_value(raw)
    need = need or next((word for word in NEEDS if _word(fields.get(word)) not in ("", "false")), "")
    file = file or (_word(fields.get("file")) or _word(fields.get("output_file")) if state == "done" else "")
    span = (0, 0)
    if isinstance(value, yaml.ScalarNode) and value.style not in ("|", ">") and not _is_marked(value):
        span = (value.start_mark.index, value.end_mark.index)
    at = value.start_mark.line + 1 if value is not None else line
    return WorkflowItem(name, state, need, file, phase, _word(fields.get("agent")), at, raw, span)


def _is_marked(value: yaml.ScalarNode) -> bool:
    """Whether the value has an anchor or a tag, or is somebody else's by an alias: changing it would change others."""
    mark = value.start_mark
    return mark.buffer is not None and mark.buffer[mark.pointer : mark.pointer + 1] in ("&", "!")


def _word(node: yaml.Node | None) -> str:
    return str(node.value).strip() if isinstance(node, yaml.ScalarNode) else ""


def mark_yaml(text: str, status: WorkflowStatus, workflow: str, value: str) -> str:
    """The file with a workflow's value changed, or a row added for one that a flat file does not list.

    Raises:
        DocumentError: the file cannot be read, or has no place for the workflow.
    """
    path = status.path
    errors = [note for note in status.notes if note.severity == "error"]
    if status.shape == "none" or any(note.message.startswith(f"`{workflow}` stands twice") for note in errors):
        raise DocumentError(errors[0].message, path=path, line=errors[0].line, remedy="Mend the file first.")
    item = status.get(workflow)
    if item is None:
        return _add(text, status, workflow, value)
    if item.raw == value:
        return text
    start, end = item.span
    if item.span == (0, 0):
        remedy = "Write one plain word or path for it."
        raise DocumentError(f"`{workflow}` has no value to change", path=path, line=item.line, remedy=remedy)
    quote = text[start] if end > start and text[start] in "\"'" else ""
    gap = " " if start == end and not text[:start].endswith(" ") else ""
    return text[:start] + gap + quoted(value, quote) + text[end:]


def quoted(value: str, quote: str = "") -> str:
    """A value as a YAML scalar, in the quotes it had, or in some where it needs them."""
    if quote == '"' or not (quote or re.fullmatch(r"[\w./][\w./ @~-]*[\w./]|\w", value)):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return "'" + value.replace("'", "''") + "'" if quote else value


def _add(text: str, status: WorkflowStatus, workflow: str, value: str) -> str:
    """A row for a workflow that a flat file does not list, after the last one."""
    lines = re.findall(r"[^\n]*\n|[^\n]+\Z", text)
    last = max(status.items, key=lambda item: item.line, default=None)
    row = re.match(r"([ ]+)[^\s{\[#-]", lines[last.line - 1]) if last and status.shape == "flat" else None
    if last is None or row is None or any(item.phase for item in status.items):
        listed = ", ".join(item.id for item in status.items[:12])
        raise DocumentError(f"does not list `{workflow}`", path=status.path, remedy=f"It lists: {listed}.")
    newline = "\r\n" if lines[last.line - 1].endswith("\r\n") else "\n"
    lines[last.line - 1] = lines[last.line - 1].rstrip("\r\n") + newline
    lines.insert(last.line, f"{row[1]}{workflow}: {quoted(value)}{newline}")
    return "".join(lines)
