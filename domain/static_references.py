"""Which files does a workflow name outright, so that whether they exist can be said without running it?"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from .errors import InputError
from .invocations import invoked_path
from .references import References, is_remote
from .resolver import INSTALLED, Resolver
from .workflow_tree import Workflow

_ROOTS = "|".join(re.escape(name) for name in (*INSTALLED, "{bmad_folder}"))
_STATIC = re.compile(
    rf"^(?:\{{(?:installed_path|skill-root|workflow_path)\}}|(?:\{{project[-_]root\}}/)?(?:{_ROOTS})|\.{{1,2}})/.+"
)
_FILE = re.compile(r"\.(?:md|ya?ml|xml|csv|toml|json|txt|html)$")
_BESIDE = "references|assets|scripts|steps|templates|resources|review-prompts|types|agents|data|prompts"
_MENTION = re.compile(
    rf"(?:[`(\s]|^)((?:\{{skill-root\}}/|\./|(?:\.\./)*(?:{_BESIDE})/)[\w./-]*\.(?:md|py|csv|json|html|ya?ml|toml))\b"
    r"|\[\[bmad-snapshot:([\w./-]+\.md)\]\]"
)
_MADE_LATER = re.compile(r"/(?:_?config\.(?:ya?ml|toml)$|_(?:config|cfg|memory)/|custom/)|\{|\*|\[")


@dataclass(frozen=True)
class StaticReference:
    """A file that a workflow names. `found` is its path, "" if there is none."""

    written: str
    where: str
    found: str


def static_references(workflow: Workflow, references: References) -> Iterator[StaticReference]:
    """Every file that the workflow's own keys, its steps' frontmatter and its tags name, output files left out."""
    for key, value in _texts(workflow.variables):
        if key not in ("installed_path", "config_source", "main_config", "web_bundle"):
            yield from _reference(value, f"{workflow.path}:{key}", [workflow.folder], references)
    for step in workflow.steps:
        resolver = Resolver(variables=step.variables)
        here = step.file.rpartition("/")[0] or workflow.folder
        for key, value in _texts(step.variables):
            if key in ("workflow_path", "installed_path") or re.search(r"(?i)output|report|plan$|path$", key):
                continue
            local = re.sub(r"^\{(?:workflow_path|installed_path)\}", "{installed_path}", value)
            text = local if local.startswith("{installed_path}") else resolver.text(value).text
            yield from _reference(text, f"{step.file}:{key}", [workflow.folder, here], references)
        yield from _mentions(
            step.node.inner_text() if step.file or workflow.kind == "skill" else "", workflow, step.file, references
        )
        for node in step.node.walk():
            if node.kind == "invoke-workflow":
                text = Resolver(variables=workflow.variables).text(invoked_path(node)).text
                found = _find(text, [workflow.folder], references, workflow=True)
                if "{" not in re.sub(r"^\{project[-_]root\}", "", text) and text:
                    yield StaticReference(text, f"{step.file or workflow.path}:{node.line}", found)


def _mentions(text: str, workflow: Workflow, file: str, references: References) -> Iterator[StaticReference]:
    """Files beside the workflow that a step's text sends its reader to."""
    seen: set[str] = set()
    for line in text.splitlines():
        for found in () if re.search(r"\be\.g\.", line) else _MENTION.finditer(line):
            written = found[1] or found[2]
            if written not in seen and not _MADE_LATER.search(written.replace("{skill-root}", "")):
                seen.add(written)
                folders = [file.rpartition("/")[0] or workflow.folder, workflow.folder]
                yield StaticReference(written, file or workflow.path, _find(written, folders, references))


def _texts(values: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    for key, value in values.items():
        if isinstance(value, str):
            yield key, value


def _reference(value: str, where: str, folders: list[str], references: References) -> Iterator[StaticReference]:
    text = value.strip().strip("`'\"")
    if "\n" in text or is_remote(text) or not _STATIC.match(text) or not _FILE.search(text):
        return
    rest = re.sub(r"^\{(?:installed_path|skill-root|workflow_path|project[-_]root)\}|\{bmad_folder\}", "", text)
    if not _MADE_LATER.search(rest):
        yield StaticReference(text, where, _find(text, folders, references))


def _find(text: str, folders: list[str], references: References, *, workflow: bool = False) -> str:
    for folder in folders:
        try:
            found = references.find_workflow(text, folder) if workflow else references.find(text, folder)
        except InputError:
            continue
        if found:
            return found
    return ""
