"""What does a workflow in a folder of files say, whichever of upstream's shapes it has?

The shapes: `workflow.yaml` with an instruction file; `workflow.md` with a file per step; a skill (`SKILL.md` with
`customize.toml`) with or without either; a task file with tags.  Nothing is resolved or executed here.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from . import frontmatter
from .customization import load_toml, merge_layers
from .errors import DocumentError, InputError
from .instruction_scanner import scan
from .instruction_steps import Instructions, read_instructions
from .references import ENTRIES, References
from .resolver import INSTALLED
from .safe_yaml import load_yaml_with_lines
from .step_files import mentioned_steps, read_step, step_number
from .step_order import in_order
from .workflow_checks import refuse_errors, step_problems, variable_cycles
from .workflow_tree import Note, Step, Workflow

_FOLLOW = re.compile(r"\b(?:follow|read|load|execute|run)\b", re.IGNORECASE)

__all__ = ["read_workflow", "refuse_errors"]
MAX_CHARACTERS = 4 << 20
_TOKEN = re.compile(r"[\w./{}-]++")
_BODY = re.compile(r"^(?:workflow|instructions)[\w-]*\.(?:md|xml)$")


def read_workflow(folder: str, files: Mapping[str, str]) -> Workflow:
    """The workflow that lies in `folder`, or whose first file `folder` names; `files` maps relative paths to texts.

    What is odd but can be run is a warning in `notes`; what keeps it from running is an error there.

    Raises:
        DocumentError: there is no workflow there, or its first file cannot be read; with file and line.
    """
    entry = _entry(folder.strip("/"), files)
    reading = _Reading(entry, files, References(files))
    if entry.endswith((".yaml", ".yml")):
        return reading.from_yaml()
    if posixpath.basename(entry) == "SKILL.md":
        return reading.from_skill()
    return reading.from_markdown()


def _entry(folder: str, files: Mapping[str, str]) -> str:
    if folder in files:
        return folder
    for name in ENTRIES:
        path = posixpath.join(folder, name)
        if path in files:
            return path
    named = sorted(
        path for path in files if posixpath.dirname(path) == folder and re.search(r"/?workflow-[\w-]+\.md$", path)
    )
    if named:
        return named[0]
    raise DocumentError(
        f"there is no workflow in {folder or '.'!r}",
        path=folder,
        remedy="Its folder holds workflow.yaml, workflow.md or SKILL.md; `storyloom workflow list` shows them all.",
    )


@dataclass
class _Reading:
    """One workflow while it is read."""

    entry: str
    files: Mapping[str, str]
    references: References

    def __post_init__(self) -> None:
        self.folder = posixpath.dirname(self.entry)
        self.notes: list[Note] = []
        self.followed: list[str] = []

    # the three shapes

    def from_yaml(self) -> Workflow:
        values, lines = load_yaml_with_lines(self.text(self.entry), self.entry)
        if not isinstance(values, dict):
            raise DocumentError("a workflow is a list of `key: value` lines", path=self.entry, line=1)
        place = {str(key[0]): line for key, line in lines.items() if len(key) == 1}
        if isinstance(inner := values.get("workflow"), dict) and "sequence" in inner:
            raise DocumentError(
                "this is a workflow of the method's version 4 (`sequence:`), which is not read",
                path=self.entry,
                line=lines.get(("workflow", "sequence"), 1),
                remedy="Use one of version 6: those that ship do the same work (`storyloom workflow list`).",
            )
        name = values.get("name")
        if not isinstance(name, str) or not name.strip():
            raise DocumentError("the workflow has no name", path=self.entry, line=1, remedy="Add a line `name: ...`.")
        self.notes += variable_cycles(values, place, self.entry)
        instructions = self._file(
            values.get("instructions"), place.get("instructions", 1), "instructions", required=True
        )
        template = self._file(values.get("template"), place.get("template", 1), "template", required=True)
        checklist = self._file(
            values.get("validation") or values.get("checklist"), place.get("validation", 1), "checklist"
        )
        variables = {key: value for key, value in values.items() if key not in ("variables", "input_file_patterns")}
        nested = values.get("variables")
        variables.update(nested if isinstance(nested, dict) else {})
        patterns = values.get("input_file_patterns")
        base = Workflow(
            name=name.strip(),
            description=str(values.get("description") or "").strip(),
            folder=self.folder,
            path=self.entry,
            kind="xml",
            variables=variables,
            steps=(),
            persona=agent if isinstance(agent := values.get("agent"), str) else "",
            template=self.text(template) if template else "",
            checklist=self.text(checklist) if checklist else "",
            input_patterns={
                str(group): pattern for group, pattern in (patterns or {}).items() if isinstance(pattern, dict)
            }
            if isinstance(patterns, dict)
            else {},
        )
        if not instructions and isinstance(values.get("instructions"), list):
            listed = "\n".join(f"## {at}. {item}" for at, item in enumerate(values["instructions"], 1))
            return self._finish(base, read_instructions(listed, self.entry), self.entry)
        if not instructions:
            return self._finish(base, None, "")
        return self._with_body(base, instructions, variables)

    def from_skill(self) -> Workflow:
        values = self._frontmatter(self.entry)
        name = str(values.get("name") or posixpath.basename(self.folder) or "skill")
        custom = self._customization(posixpath.basename(self.folder) or name)
        base = Workflow(
            name=name,
            description=str(values.get("description") or "").strip(),
            folder=self.folder,
            path=self.entry,
            kind="skill",
            variables={**values, "skill-name": posixpath.basename(self.folder) or name, **custom},
            steps=(),
        )
        return self._with_body(base, self.entry, base.variables)

    def from_markdown(self) -> Workflow:
        values = self._frontmatter(self.entry)
        fallback = (
            posixpath.basename(self.folder) if self.entry.endswith("/workflow.md") else self.entry.rsplit("/", 1)[-1]
        )
        base = Workflow(
            name=str(values.get("name") or fallback.rsplit(".", 1)[0]),
            description=str(values.get("description") or "").strip(),
            folder=self.folder,
            path=self.entry,
            kind="xml",
            variables=values,
            steps=(),
        )
        return self._with_body(base, self.entry, values)

    # parts

    def text(self, path: str) -> str:
        text = self.files[path]
        if len(text) > MAX_CHARACTERS:
            raise DocumentError(
                f"{len(text):,} characters are more than the {MAX_CHARACTERS:,} that are read",
                path=path,
                line=1,
                remedy="A workflow's files are texts of some pages; split it, or remove it.",
            )
        return text

    def _with_body(self, base: Workflow, path: str, variables: Mapping[str, object]) -> Workflow:
        """The workflow with the steps that its instruction file has or leads to."""
        self.followed.append(path)
        text = self.text(path)
        more = self._frontmatter(path) if path != base.path and path.endswith(".md") else {}
        base = replace(base, variables={**more, **variables})
        tagged = read_instructions(_without_head(text), path)
        if tagged.tagged:
            return self._finish(base, tagged, path)
        steps = self._step_files(path, text)
        if steps:
            body, _ = frontmatter.body_of(text)
            critical = tuple(node.inner_text() for node in tagged.root.walk() if node.kind == "critical")
            base = replace(base, kind="steps", template=base.template or self._template_of(steps))
            return self._finish(base, None, path, steps=steps, preamble=body, critical=critical)
        onward = self._onward(path, text)
        if onward:
            return self._with_body(base, onward, base.variables)
        if base.kind == "skill" and path == base.path:
            return self._finish(base, _whole(text, path), path)
        return self._finish(replace(base, kind="prose"), tagged, path)

    def _onward(self, path: str, text: str) -> str:
        """The file that a text without steps of its own sends its reader to: "follow the instructions in ..."."""
        for mention in _TOKEN.finditer(text):
            written = mention[0].rstrip(".").removeprefix("{skill-root}/")
            if not _BODY.match(posixpath.basename(written)):
                continue
            target = posixpath.normpath(posixpath.join(posixpath.dirname(path), written))
            told = _FOLLOW.search(text[max(0, mention.start() - 200) : mention.start()].rpartition("\n")[2])
            if told and target in self.files:
                if target not in self.followed:
                    return target
                if target != path:
                    line = text.count("\n", 0, mention.start()) + 1
                    self._note(path, line, f"{posixpath.basename(path)} leads back to {written}", error=True)
        return ""

    def _finish(
        self,
        base: Workflow,
        read: Instructions | None,
        path: str,
        *,
        steps: Sequence[Step] = (),
        preamble: str = "",
        critical: tuple[str, ...] = (),
    ) -> Workflow:
        if read is not None:
            steps, preamble, critical = read.steps, read.preamble, read.critical
            kind: Literal["xml", "prose", "steps", "skill"] = "xml" if read.tagged else base.kind
            base = replace(base, kind=kind)
            self.notes += read.notes
        if path:
            self.notes += step_problems(steps, path, self.entry, base.variables, self.references)
        if not steps and not any(note.severity == "error" for note in self.notes):
            self._note(path or self.entry, 1, "the workflow has no steps", error=True)
        notes = tuple(dict.fromkeys(self.notes))
        return replace(base, steps=tuple(steps), preamble=preamble, critical=critical, notes=notes)

    def _step_files(self, path: str, text: str) -> list[Step]:
        """The files that are steps of this workflow, in order; the folder that its first file names comes first."""
        groups: dict[str, list[str]] = {}
        for name in self.files:
            here = posixpath.dirname(name)
            if step_number(posixpath.basename(name)) is None:
                continue
            below = posixpath.dirname(here) == self.folder and "step" in posixpath.basename(here)
            if here == self.folder or below:
                groups.setdefault(here, []).append(name)
        if not groups:
            return []
        mentioned: list[str] = []
        for _, written in mentioned_steps(text):
            try:
                target = self.references.find(written, self.folder)
            except InputError:
                continue
            if target and posixpath.dirname(target) in groups and posixpath.dirname(target) not in mentioned:
                mentioned.append(posixpath.dirname(target))
        if not mentioned and path == self.entry and self.entry.endswith("SKILL.md") and self.folder in groups:
            mentioned = [self.folder]
        steps: list[Step] = []
        for group in mentioned or sorted(groups):
            read: list[Step] = []
            for name in sorted(groups[group]):
                step, notes = read_step(name, self.text(name), self.folder, self.references)
                read.append(step)
                self.notes += notes
            numbered = [step for step in read if step.number]
            steps += in_order(numbered, lambda step: step.number) + [step for step in read if not step.number]
        return steps

    def _template_of(self, steps: Sequence[Step]) -> str:
        """The text of the template that the first step with one names, as "prdTemplate" or the like."""
        for step in steps:
            for key, value in step.variables.items():
                if re.search(r"(?i)template(?:file|path)?$", key) and isinstance(value, str):
                    here = posixpath.dirname(step.file)
                    try:
                        found = self.references.find(value, here) or self.references.find(value, self.folder)
                    except InputError:
                        continue
                    if found:
                        return self.text(found)
        return ""

    def _frontmatter(self, path: str) -> Mapping[str, object]:
        try:
            return frontmatter.split(self.text(path), path).values
        except DocumentError as error:
            self.notes.append(Note(path, error.line or 1, error.message.split(": ", 1)[-1], "warning"))
            return {}

    def _customization(self, name: str) -> dict[str, object]:
        """The skill's own values, the team's and the person's laid over them."""
        own = posixpath.join(self.folder, "customize.toml")
        layers = [own] if own in self.files else []
        for end in (f"custom/{name}.toml", f"custom/{name}.user.toml"):
            layers += sorted(
                p for p in self.files if any(p == f"{i}/{end}" or p.endswith(f"/{i}/{end}") for i in INSTALLED)
            )
            layers += [end] if end in self.files else []
        return merge_layers(load_toml(self.text(path), path) for path in layers)

    def _file(self, value: object, line: int, what: str, *, required: bool = False) -> str | None:
        """The file that a key of workflow.yaml names; a note if it cannot be used."""
        if not isinstance(value, str) or not value.strip() or value.strip().lower() in ("false", "none", "todo"):
            if what == "instructions" and not isinstance(value, list):
                self._note(self.entry, line, "the workflow names no instructions", error=True)
            return None
        try:
            found = self.references.find(value, self.folder)
        except InputError as error:
            self._note(self.entry, line, f"{what}: {error.message}", error=True)
            return None
        if found == self.entry:
            self._note(self.entry, line, f"{what}: the workflow names itself", error=True)
            return None
        if found is None:
            self._note(self.entry, line, f"{what}: {value!r} does not exist", error=required)
        return found

    def _note(self, path: str, line: int, message: str, *, error: bool = False) -> None:
        self.notes.append(Note(path, line, message, "error" if error else "warning"))


def _without_head(text: str) -> str:
    """The text with its frontmatter blanked out, so that offsets and lines stay."""
    body, _ = frontmatter.body_of(text)
    head = text[: len(text) - len(body)]
    return re.sub(r"[^\n]", " ", head) + body


def _whole(text: str, path: str) -> Instructions:
    """A skill whose text is one step."""
    body, line = frontmatter.body_of(text)
    root, notes = scan(_without_head(text), path)
    step = Step("", posixpath.basename(posixpath.dirname(path)), root, line)
    return Instructions(False, root, (step,) if body.strip() else (), "", (), notes)
