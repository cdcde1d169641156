"""How does a document look with the sections written so far?

A document is always composed anew from its template and its sections, so writing a section again replaces it and the
same sections give the same bytes. A section fills the placeholder of its name; one without a placeholder is appended
under a heading of its own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from . import frontmatter
from .condition_facts import slug
from .errors import DocumentError
from .run_state import Draft
from .templates import Rendered, placeholders, render

_HEADING = re.compile(r"^#{1,6}\s+\S")
_FENCED = re.compile(r"^```(?:markdown|md)?[ \t]*\n(.*)\n```$", re.DOTALL)


def put(draft: Draft, name: str, text: str) -> Draft:
    """The draft with a section set; its place among appended sections is that of its first writing."""
    return draft.model_copy(update={"sections": {**draft.sections, slug(name) or "section": tidy(text)}})


def compose(
    draft: Draft, values: Mapping[str, object], *, final: bool = False, head: Mapping[str, object] | None = None
) -> Rendered:
    """The whole document, with `head` set in its frontmatter; names that nothing filled stay and are listed."""
    done = _body(draft, values, final=final)
    if not head or not done.text:
        return done
    try:
        return Rendered(frontmatter.update(done.text, head, "the document"), done.missing)
    except DocumentError:  # a frontmatter that nobody can read stays as it is
        return done


def _body(draft: Draft, values: Mapping[str, object], *, final: bool) -> Rendered:
    if draft.base:
        text = "\n\n".join([draft.base.rstrip("\n"), *(_appended(*section) for section in draft.sections.items())])
        return Rendered(text + "\n")
    filled = {**values, **_under_headings(draft)}
    done = render(draft.template, filled, final=final)
    homes = set(map(slug, re.findall(r"\{\{\s*([^#/{}][^{}]*?)\s*\}\}", draft.template)))
    parts = [done.text.rstrip("\n")] if done.text.strip() else []
    for name, text in draft.sections.items():
        if name not in homes:
            parts.append(_appended(name, text))
    text = "\n\n".join(parts)
    return Rendered(text + "\n" if text else "", done.missing)


def _appended(name: str, text: str) -> str:
    return text if _HEADING.match(text) else f"## {title(name)}\n\n{text}".rstrip()


def open_placeholders(draft: Draft, values: Mapping[str, object]) -> tuple[str, ...]:
    """Placeholders outside of blocks that neither a section nor a known name fills."""
    known = {slug(name) for name in (*values, *draft.sections)} | set(values)
    return tuple(name for name in placeholders(draft.template) if name not in known and slug(name) not in known)


def title(name: str) -> str:
    """A section's heading: "functional_requirements" is "Functional Requirements"."""
    words = re.sub(r"[_\-\s]+", " ", name).strip()
    return " ".join(word if word.isupper() else word[:1].upper() + word[1:] for word in words.split())


def tidy(text: str) -> str:
    """A model's text without blank edges and without a fence around the whole of it."""
    text = text.strip()
    if (fenced := _FENCED.match(text)) and "\n```" not in fenced[1]:
        text = fenced[1].strip()
    return "\n".join(line.rstrip() for line in text.splitlines())


def _under_headings(draft: Draft) -> dict[str, object]:
    """The sections by name; one that repeats the heading it stands under loses the repetition."""
    filled: dict[str, object] = {}
    for name, text in draft.sections.items():
        first, _, rest = text.partition("\n")
        heading = re.search(rf"^#+\s+(.+?)\s*\n\s*\{{\{{\s*{re.escape(name)}\s*\}}\}}", draft.template, re.MULTILINE)
        same = heading and _HEADING.match(first) and slug(first.lstrip("#")) == slug(heading[1])
        filled[name] = rest.strip() if same and rest.strip() else text
    return filled
