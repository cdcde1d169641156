"""Does an action written in prose steer the workflow: a jump, a halt, an exit, a return, a variable that is set?

Upstream writes much of its control flow as sentences ("Jump to Step 10", "HALT: no stories", "Exit workflow",
"Default mode = \"interactive\""). Only sentences that say nothing else are read; all others stay actions.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from .condition_facts import slug

Kind = Literal["goto", "halt", "exit", "return", "set", "ask"]
STEP = r"(-?\d+(?:\.\d+)?[a-z]?|FINAL)"


@dataclass(frozen=True)
class Control:
    """What a sentence steers: `target` is a step, anchor or variable name, `text` a reason, value or question.

    `condition` is what the sentence makes it depend on ("" if nothing).
    """

    kind: Kind
    target: str = ""
    text: str = ""
    condition: str = ""


_WAY = r"(?:\s+(?:directly|straight|back|ahead|forward|immediately))?"
_VERB = rf"(?:continue|proceed|go|jump|skip|move|return|loop|advance){_WAY}"
_JUMP = re.compile(
    rf"^(?:(?:then|and|now|after [^,.]{{1,60}}),?\s+)?(?:{_VERB}\s+(?:to\s+)?|goto\s+)step\s+{STEP}\b(.*)$", re.I | re.S
)
_GOTO = re.compile(r"^GOTO[:\s]+(?:anchor\s+|step\s+)?([A-Za-z_][\w\-]*)\.?\s*$")
_HALT = re.compile(
    r"^(?:\*\*)?(?:HALT|Halt)(?:\*\*)?(?:(?:\s*[:\-–—]+\s*|\s+(?:and|with message:?)\s+|\s*$)(.*))?$", re.S
)
_HALT_FOR_USER = re.compile(
    r"^HALT\s+and\s+((?:give|ask|let|wait|present|prompt|request)\b.*\b(?:user|choice|response|guidance|confirmation).*)$",
    re.S,
)
_HALT_IF = re.compile(r"^HALT\s+(?:if|when)\s+(.+?)[.\s]*$", re.S)
_EXIT = re.compile(r"^(?:exit|end|stop|terminate)\s+(?:the\s+|this\s+)?workflow\b(.*)$", re.I | re.S)
_RETURN = re.compile(r"^return\s+(?:to\s+)?(?:the\s+)?(?:caller|calling workflow)\b(.*)$", re.I | re.S)
_IF = re.compile(r"^If\s+(.{3,200}?)\s*(?:,|→|->|:)\s*(?:then\s+)?(.+)$", re.S | re.I)
_ASK = re.compile(r"^ASK\b[:\s]*(.+)$", re.S)
_VALUE = r"""("[^"]*"|'[^']*'|`[^`]*`|true|false|-?\d+(?:\.\d+)?|\[\]|[a-z][\w\-]*)"""
_SET = re.compile(
    rf"^(?:set|default|initiali[sz]e|assign)\s+(?:variable\s+)?\{{{{?\s*(\w+)\s*\}}?\}}\s*(?:=|to|as)\s*{_VALUE}[.\s]*$",
    re.I,
)
_SET_BARE = re.compile(
    rf"^(?:set|default|initiali[sz]e|assign)\s+(?:variable\s+)?`?(\w+)`?\s*(?:=|to)\s*{_VALUE}(\s+if\s+not\s+.*)?[.\s]*$",
    re.I,
)
_STORE = re.compile(rf"^(?:store|save|remember)\s+{_VALUE}\s+as\s+\{{{{?\s*(\w+)\s*\}}?\}}[.\s]*$", re.I)
_HEDGED = re.compile(r"\b(?:if|when|unless|otherwise|or|whether|depending)\b", re.I)


def read_control(text: str) -> Control | None:
    """The control that a whole action is, or None when it is work to do."""
    text = " ".join(text.split()).strip()
    if not text or len(text) > 600:
        return None
    if depends := _HALT_IF.match(text):
        return Control("halt", text=depends[1], condition=depends[1])
    if (branch := _IF.match(text)) and not _HEDGED.search(branch[2]):
        inner = read_control(branch[2])
        if inner and inner.kind in {"goto", "halt", "exit", "return"} and not inner.condition:
            return Control(inner.kind, inner.target, inner.text, branch[1])
    return _unconditional(text)


def _unconditional(text: str) -> Control | None:
    if (found := _JUMP.match(text)) and not _HEDGED.search(found[2].split("(")[0]):
        return Control("goto", found[1])
    if found := _GOTO.match(text):
        return Control("goto", found[1])
    if found := _HALT_FOR_USER.match(text):
        return Control("ask", text=found[1])
    if found := _HALT.match(text):
        return Control("halt", text=(found[1] or "").strip().strip("\"'"))
    if (found := _EXIT.match(text)) and not re.search(r"\b(?:if|when|unless)\b", found[1], re.I):
        return Control("exit", text=found[1].strip(" -–—:()."))
    if found := _RETURN.match(text):
        return Control("return", text=found[1].strip(" -–—:()."))
    if found := _ASK.match(text):
        return Control("ask", text=found[1].strip())
    if found := _STORE.match(text):
        return Control("set", slug(found[2]), found[1].strip("\"'`"))
    found = _SET.match(text) or _SET_BARE.match(text)
    if found:
        given = " if " in f" {found[3]} " if found.re is _SET_BARE and found[3] else False
        default = text.lower().startswith("default") or given
        return Control("set", found[1], found[2].strip("\"'`"), condition="default" if default else "")
    return None
