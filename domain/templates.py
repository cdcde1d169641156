"""What does a template say once what is known has been filled in, and which names were left open?

Templates of the method mix `{{name}}` with Handlebars-like blocks, often irregular: `{{#if x == "y"}}`, `{{if x}}`,
`{{else}}`, `{{/if_x}}`, `{{#each list}}`, `{{for each story, show:}}`, `{{this}}`, `{{@index}}`. They are translated to
a Jinja2 program in which all text of the template and every value are data, so neither is ever read as code, and a
text written by a model is never rendered again. `${{ … }}` belongs to others and stays.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from jinja2.sandbox import ImmutableSandboxedEnvironment

from .condition_facts import Facts, slug
from .conditions import decide
from .errors import WorkflowError
from .template_pieces import Piece, pieces_of

_SINGLE = re.compile(r"(?<![\{$])\{([A-Za-z_][\w.\-]*)\}(?!\})")
MAX_ITERATIONS = 10_000
_ENGINE = ImmutableSandboxedEnvironment(autoescape=False, keep_trailing_newline=True)


@dataclass(frozen=True)
class Rendered:
    """The text, and the names that nothing filled, each once, in order."""

    text: str
    missing: tuple[str, ...] = ()


@dataclass
class _Scope:
    values: Mapping[str, object]
    outer: _Scope | None = None
    index: int | None = None
    this: object = None
    last: bool = False
    lookups: dict[str, object] = field(default_factory=dict)


_MISSING = object()


def placeholders(template: str) -> tuple[str, ...]:
    """The names of a template's placeholders outside of loops and conditions, each once, in order."""
    depth, found = 0, {}
    for piece in pieces_of(template):
        depth += {"if": 1, "each": 1, "end": -1}.get(piece.kind, 0)
        if piece.kind == "value" and depth == 0:
            found[piece.body] = True
    return tuple(found)


def render(template: str, values: Mapping[str, object], *, final: bool = False) -> Rendered:
    """The template with what is known filled in; placeholders without a value stay as they are and are listed.

    Blocks whose condition or list is not known stay untouched until the `final` rendering, where they count as false
    and empty and are listed.
    """
    return _rendered(template, values, final=final, single=False)


def _rendered(template: str, values: Mapping[str, object], *, final: bool, single: bool) -> Rendered:
    pieces = pieces_of(template)
    if single:  # only the text as written: a value that holds braces is not looked into
        for piece in pieces:
            if piece.kind == "text":
                piece.source = _SINGLE.sub(lambda found: _shown(_get(values, found[1]), found[0]), piece.source)
    program = _program(tuple(piece.kind for piece in pieces))
    missing: dict[str, bool] = {}
    text = _run(program, pieces, values, missing, final=final)
    return Rendered(text, tuple(missing))


def render_strict(template: str, values: Mapping[str, object]) -> str:
    """The template with everything filled in.

    Raises:
        WorkflowError: names without a value, all of them listed.
    """
    done = render(template, values, final=True)
    if done.missing:
        raise WorkflowError(
            f"The template has no value for {', '.join(done.missing)}.",
            remedy="Set them, or take them out of the template.",
        )
    return done.text


def fill_names(text: str, values: Mapping[str, object]) -> str:
    """A text of an instruction with every known `{{name}}` and `{name}` replaced; unknown ones stay verbatim."""
    return _rendered(text, values, final=False, single=True).text


def _shown(value: object, source: str) -> str:
    return source if value is _MISSING else _text(value)


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(_text(item) for item in value)
    return str(value)


def _get(values: Mapping[str, object], name: str) -> object:
    for key in (name.strip(), slug(name)):
        if key in values:
            return values[key]
    head, dot, rest = name.strip().partition(".")
    if dot and isinstance(inner := values.get(head), Mapping):
        return _get(inner, rest)
    return _MISSING


@lru_cache(maxsize=256)
def _program(shape: tuple[str, ...]) -> object:
    """The compiled Jinja2 program: it holds numbers of pieces only, no text of the template."""
    lines, depth, opened = [], 0, []
    for at, kind in enumerate(shape):
        if kind in {"text", "value"}:
            lines.append(f"{{{{ show({at}, s{depth}) }}}}")
        elif kind == "if":
            opened.append("if")
            lines.append(f"{{% if test({at}, s{depth}) %}}")
        elif kind == "elif":
            lines.append(f"{{% elif test({at}, s{depth}) %}}")
        elif kind == "else":
            lines.append("{% else %}")
        elif kind == "each":
            opened.append("each")
            lines.append(f"{{% for s{depth + 1} in each({at}, s{depth}) %}}")
            depth += 1
        elif opened.pop() == "each":
            depth -= 1
            lines.append("{% endfor %}")
        else:
            lines.append("{% endif %}")
    return _ENGINE.from_string("".join(lines))


def _run(
    program: object, pieces: list[Piece], values: Mapping[str, object], missing: dict[str, bool], *, final: bool
) -> str:
    kept = _kept(pieces, values) if not final else {}

    def show(at: int, scope: _Scope) -> str:
        piece = pieces[at]
        if piece.kind == "text":
            return piece.source
        value = _lookup(scope, piece.body)
        if value is _MISSING:
            missing[piece.body] = True
            return piece.source
        return _text(value)

    def test(at: int, scope: _Scope) -> bool:
        facts = Facts(variables=_flat(scope))
        verdict = decide(re.sub(r"\s*(!==|===)\s*", r" \1 ", pieces[at].body), facts)
        if verdict.value is None:
            missing[f"if {pieces[at].body}"] = True
        return bool(verdict.value)

    def each(at: int, scope: _Scope) -> list[_Scope]:
        value = _lookup(scope, pieces[at].body)
        if value is _MISSING:
            missing[f"each {pieces[at].body}"] = True
            return []
        items = (
            list(value.items()) if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else [value]
        )
        if len(items) > MAX_ITERATIONS:
            raise WorkflowError(f"The list {pieces[at].body!r} has {len(items)} items, more than {MAX_ITERATIONS}.")
        return [
            _inner(scope, item, n, pieces[at].item, n == len(items) - 1)
            for n, item in enumerate(items)
            if item not in (None, "", False)
        ]

    if kept:  # blocks whose subject is not known yet stay as they are written
        pieces = [
            Piece("text", kept[at]) if at in kept else piece
            for at, piece in enumerate(pieces)
            if kept.get(at, " ") != ""
        ]
        program = _program(tuple(piece.kind for piece in pieces))
    render_: Callable[..., str] = program.render  # type: ignore[attr-defined]
    return render_(show=show, test=test, each=each, s0=_Scope(values))


def _kept(pieces: list[Piece], values: Mapping[str, object]) -> dict[int, str]:
    """Top-level blocks to leave untouched: {first piece: the block's source}, and "" for the pieces inside it."""
    kept: dict[int, str] = {}
    depth, start, unknown = 0, 0, False
    for at, piece in enumerate(pieces):
        if piece.kind in {"if", "each"}:
            if depth == 0:
                start = at
                unknown = (
                    _get(values, piece.body) is _MISSING
                    if piece.kind == "each"
                    else any(_get(values, name) is _MISSING for name in _names(piece.body))
                )
            depth += 1
        elif piece.kind == "end":
            depth -= 1
            if depth == 0 and unknown:
                kept[start] = "".join(p.source for p in pieces[start : at + 1])
                kept.update(dict.fromkeys(range(start + 1, at + 1), ""))
    return kept


_WORDS = frozenset(
    {"and", "or", "not", "is", "empty", "true", "false", "lt", "gt", "exists", "found", "provided", "null", "none"}
)


def _names(condition: str) -> list[str]:
    bare = re.sub(r"\"[^\"]*\"|'[^']*'", "", condition)
    left = [re.split(r"==|!=|<|>|=", part)[0] for part in re.split(r"\b(?:and|or|AND|OR)\b|&&|\|\|", bare)]
    return [word for part in left for word in re.findall(r"[A-Za-z_][\w.\-]*", part)[:2] if word.lower() not in _WORDS][
        :8
    ]


def _inner(scope: _Scope, item: object, index: int, name: str, last: bool) -> _Scope:
    return _Scope({**({name: item} if name else {})}, scope, index, item, last)


def _lookup(scope: _Scope, name: str) -> object:
    name = name.strip()
    at: _Scope | None = scope
    while name.startswith("../") and at is not None:
        name, at = name[3:], at.outer
    while at is not None:
        if at.outer is not None:
            if name in {"this", "."}:
                return at.this
            if name.startswith(("this.", "item.")):
                name = name.split(".", 1)[1]
            if name == "@index":
                return at.index
            if name == "@first":
                return at.index == 0
            if name == "@last":
                return at.last
            if isinstance(at.this, Mapping) and (value := _get(at.this, name)) is not _MISSING:
                return value
        if (value := _get(at.values, name)) is not _MISSING:
            return value
        if at.outer is not None and name in {"number", "index"}:
            return (at.index or 0) + (name == "number")
        at = at.outer
    return _MISSING


def _flat(scope: _Scope) -> dict[str, object]:
    inner = _flat(scope.outer) if scope.outer else {}
    inner.update(scope.values)
    if scope.outer is not None:
        inner["this"] = scope.this
        if isinstance(scope.this, Mapping):
            inner.update({str(key): value for key, value in scope.this.items()})
    return inner
