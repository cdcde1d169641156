"""Who is an agent that was installed, as Markdown with an <agent> element?"""

from __future__ import annotations

import html
import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping

from .agent_schema import COMMANDS, split_trigger
from .errors import DocumentError
from .personas import MenuItem, Persona, module_of, short_id, split_principles

# what every compiled agent is told in the same words, before and after its own actions
_ROUTINE = re.compile(
    r"Load persona from|.{0,3}IMMEDIATE ACTION|.{0,3}Load and read|Remember: user|Show greeting|Let \{user_name\} know"
    r"|STOP and WAIT|On user input|When (?:executing|responding|menu)|CRITICAL HALT|Number ",
    re.IGNORECASE,
)


def read_installed(path: str, text: str) -> Persona:
    """The agent in an installed Markdown file.

    Raises:
        DocumentError: there is no <agent> element; with file and line.
    """
    opened = re.search(r"<agent\s([^>]*)>", text)
    if opened is None:
        raise DocumentError("there is no <agent> element", path=path, line=1, remedy="Install the agent again.")
    attrs = _attrs(opened[1])
    items = [
        item
        for opened, body in _elements(text, "item")
        for item in _compiled_item(_attrs(opened), html.unescape(body).strip())
    ]
    prompts = {
        _attrs(head).get("id", ""): body.replace("<content>", "").replace("</content>", "").strip()
        for head, body in _elements(text, "prompt")
    }
    steps = [html.unescape(body).strip() for head, body in _elements(text, "step") if " n=" in head]
    return Persona(
        id=short_id(attrs.get("id", ""), path),
        name=attrs.get("name") or posixpath.basename(path),
        title=attrs.get("title", ""),
        icon=attrs.get("icon", ""),
        role=_element(text, "role"),
        identity=_element(text, "identity"),
        communication_style=_element(text, "communication_style"),
        principles=split_principles(_element(text, "principles")),
        critical_actions=tuple(step for step in steps if not _ROUTINE.match(step)),
        menu=tuple(items),
        prompts=prompts,
        facts=tuple(html.unescape(body).strip() for _, body in _elements(text, "memory")),
        module=module_of(path),
        path=path,
    )


def _compiled_item(attrs: Mapping[str, str], text: str) -> Iterable[MenuItem]:
    if attrs.get("type") == "multi":
        for found in re.finditer(r"<handler\s+([^>]*)>", text):
            below = _attrs(found[1])
            kind = next((key for key in COMMANDS if below.get(key)), "")
            yield MenuItem(below.get("match", ""), below.get("match", ""), kind, below.get(kind, ""))
        return
    code, trigger = split_trigger(attrs.get("cmd", ""))
    kind = next((key for key in COMMANDS if attrs.get(key)), "")
    yield MenuItem(trigger, text, kind, attrs.get(kind, ""), code)


def _element(text: str, name: str) -> str:
    return next((html.unescape(body).strip() for _, body in _elements(text, name)), "")


def _elements(text: str, name: str) -> Iterator[tuple[str, str]]:
    """The attributes and the body of every element of a name; none has another of its name inside."""
    for opened in re.finditer(rf"<{name}(\s[^<>]*)?>", text):
        end = text.find(f"</{name}>", opened.end())
        if end < 0:
            return
        yield opened[1] or "", text[opened.end() : end]


def _attrs(source: str) -> dict[str, str]:
    return {name: html.unescape(value) for name, value in re.findall(r"([\w:-]+)=\"([^\"]*)\"", source)}
