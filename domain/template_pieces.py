"""Of which pieces is a template made: text, placeholders, and the tags of conditions and loops?"""

from __future__ import annotations

import re
from dataclasses import dataclass

_TOKEN = re.compile(r"\$\{\{.*?\}\}|\{\{\{?(?P<body>[^{}]+?)\}?\}\}", re.DOTALL)
_IF = re.compile(r"^#?\s*if(?:[\s_]+(.*))?$", re.DOTALL)
_UNLESS = re.compile(r"^(?:#\s*unless|unless|\^)\s*(.*)$", re.DOTALL)
_EACH = re.compile(
    r"^(?:#\s*(?:each|for)(?:[\s_]+each)?|for[\s_]+each|each|for)[\s_]+([\w.\-@]+(?:\s+in\s+[\w.\-]+)?)\b.*$", re.DOTALL
)
_SECTION = re.compile(r"^#\s*([A-Za-z_][\w.\-]*)$")
_ELSE = re.compile(r"^(?:else|\^)$")
_ELIF = re.compile(r"^(?:else\s*if|elif|elseif)\s+(.*)$", re.DOTALL)
_END = re.compile(r"^(?:/\s*\^?\s*(\w+).*|end\s*(if|for|each|unless)(?:\s*each)?)$", re.DOTALL)
_ENDS = {"if": "if", "unless": "if", "each": "each", "for": "each", "foreach": "each"}


@dataclass
class Piece:
    """A run of literal text, a placeholder, or a tag of a block, with its source text."""

    kind: str  # text, value, if, elif, else, each, end
    source: str
    body: str = ""
    item: str = ""


def pieces_of(template: str) -> list[Piece]:
    """The template cut into text, placeholders and block tags; a tag without its partner is text."""
    pieces: list[Piece] = []
    at = 0
    for found in _TOKEN.finditer(template):
        if found["body"] is None:  # ${{ … }}
            continue
        piece = _tag(found["body"].strip(), found[0])
        start, end = found.span()
        if piece.kind not in {"text", "value"}:  # a block tag that stands alone takes its whole line with it
            line_start = template.rfind("\n", 0, start) + 1
            line_end = template.find("\n", end)
            line_end = len(template) if line_end < 0 else line_end + 1
            if line_start >= at and not template[line_start:start].strip() and not template[end:line_end].strip():
                start, end = line_start, line_end
                piece.source = template[start:end]
        if start > at:
            pieces.append(Piece("text", template[at:start]))
        pieces.append(piece)
        at = end
    if at < len(template):
        pieces.append(Piece("text", template[at:]))
    return _paired(pieces)


def _tag(body: str, source: str) -> Piece:
    if body.startswith("!"):
        return Piece("text", "")
    if body.startswith(">"):
        return Piece("text", source)
    if _ELSE.match(body):
        return Piece("else", source)
    if found := _ELIF.match(body):
        return Piece("elif", source, found[1].strip())
    if found := _END.match(body):
        word = re.split(r"[_\s]", (found[1] or found[2]).lower())[0]
        return Piece("end", source, _ENDS.get(word, ""))
    if found := _EACH.match(body):
        item, _, collection = found[1].partition(" in ")
        return Piece("each", source, (collection or item).strip(), item.strip())
    if (found := _UNLESS.match(body)) and found[1]:
        return Piece("if", source, f"not {found[1].strip()}")
    if (found := _IF.match(body)) and found[1]:
        return Piece("if", source, found[1].strip())
    if found := _SECTION.match(body):
        return Piece("each", source, found[1], found[1])
    return Piece("value", source, body)


def _paired(pieces: list[Piece]) -> list[Piece]:
    """The same pieces, with block tags that have no partner turned into text."""
    open_: list[int] = []
    for at, piece in enumerate(pieces):
        if piece.kind in {"if", "each"}:
            open_.append(at)
        elif piece.kind in {"else", "elif"} and not (open_ and pieces[open_[-1]].kind == "if"):
            pieces[at] = Piece("text", piece.source)
        elif piece.kind == "end":
            if open_ and piece.body in {"", pieces[open_[-1]].kind}:
                open_.pop()
            else:
                pieces[at] = Piece("text", piece.source)
    for at in open_:
        pieces[at] = Piece("text", pieces[at].source)
    if open_:  # an `else` of a block that was never closed has lost its `if`
        return _paired(pieces)
    return pieces
