"""Where do the documents of a run stand, and what may be read and written?"""

from __future__ import annotations

import hashlib
import posixpath
import re
from dataclasses import dataclass

from ..domain import drafts
from ..domain.board_guard import BOARD, guarded
from ..domain.condition_facts import slug
from ..domain.discovery import relative
from ..domain.errors import DocumentError, InputError, UnsafePath
from ..domain.program import Program, step_name
from ..domain.progress_marks import next_after, steps_completed
from ..domain.prompts import Source
from ..domain.references import References
from ..domain.run_state import Assumption, Draft, InputFile, RunState
from ..domain.templates import fill_names
from ..domain.workflow_shape import output_of
from ..domain.workflow_tree import Step, Workflow
from .ports import Ports

OWN = ""
"""The key of the workflow's own document among the drafts."""

MAX_ATTACHED = 60_000
"""Characters of one text that a step refers to."""

_ASSUMED = re.compile(r"\[ASSUMPTION:\s*(.+?)\s*\]", re.DOTALL)
_OPEN = re.compile(r"\[OPEN:\s*(.+?)\s*\]", re.DOTALL)
_ATTACHED = re.compile(
    r"(?:\{(?:skill-root|workflow_path|installed_path)\}/|\./|\.\./)?(?:[\w-]+/)+[\w.-]+\.(?:md|csv)\b"
)


@dataclass(frozen=True)
class Desk:
    """The documents of one run: composed from the state, read and written through the ports."""

    ports: Ports
    program: Program

    def path_of(self, state: RunState, key: str) -> str:
        """The path of a draft, relative to the project; "" for a workflow without a document."""
        workflow = self.program.workflow
        name = key or str(state.variables.get("default_output_file") or output_of(workflow))
        if not name and workflow.kind != "xml":
            name = f"{self.folder(state)}/{slug(workflow.name).replace('_', '-')}.md"
        name = fill_names(fill_names(name, state.known()), state.known())
        name = re.sub(r"\{\{?\s*([\w.\-]+)\s*\}?\}", lambda found: found[1].replace("_", "-"), name)
        return relative(name)

    def save(self, state: RunState, key: str) -> bool:
        """Write a draft as it stands, unless it has no path or stands there already; False if it may not be written."""
        path = self.path_of(state, key)
        text = self.composed(state, key)
        try:
            if path and self.ports.documents.read(path) != text:
                self.ports.documents.write(path, text)
        except UnsafePath:
            return False
        return True

    def saved(self, state: RunState, key: str) -> RunState:
        """The state once a draft has been written, or has been noted as one that may not be."""
        note = f"{self.path_of(state, key)} may not be written: it leaves the project or is protected."
        if self.save(state, key) or note in state.open_questions:
            return state
        return state.model_copy(update={"open_questions": (*state.open_questions, note)})

    def composed(self, state: RunState, key: str) -> str:
        """A draft as text, as it stands in this state."""
        draft = state.drafts.get(key) or Draft(template=self.program.workflow.template if key == OWN else "")
        return drafts.compose(
            draft, state.variables, final=state.status == "complete", head=self._head(state, key)
        ).text

    def _head(self, state: RunState, key: str) -> dict[str, object]:
        """What the frontmatter of a document written by step files says about their progress."""
        if key != OWN or self.program.workflow.kind != "steps" or not state.completed:
            return {}
        read = dict.fromkeys(file.path for files in state.inputs.values() for file in files)
        return {"stepsCompleted": list(state.completed), "inputDocuments": list(read)}

    def adopt(self, state: RunState) -> RunState:
        """The state with a document of step files taken over where an earlier session left it."""
        path = self.path_of(state, OWN)
        text = self.ports.documents.read(path) if path and self.program.workflow.kind == "steps" else None
        done = steps_completed(text or "", self.program.workflow.steps)
        if not text or not done:
            return state
        following = next_after(done, self.program.workflow.steps)
        if following is None:
            return state.end("complete", f"{path} is complete already")
        at = self.program.starts[following]
        return state.model_copy(update={"drafts": {OWN: Draft(base=text)}, "completed": done, "at": at})

    def put(self, state: RunState, key: str, name: str, text: str) -> RunState:
        """The state with a section set in a draft, and the marks in its text collected."""
        draft = state.drafts.get(key) or Draft(template=self.program.workflow.template if key == OWN else "")
        assumed = tuple(
            Assumption(question="", answer=found, step=step_name(self.program, self.program.step_at(state.at)))
            for found in _ASSUMED.findall(text)
        )
        return state.model_copy(
            update={
                "drafts": {**state.drafts, key: drafts.put(draft, name, text)},
                "assumptions": (*state.assumptions, *(a for a in assumed if a not in state.assumptions)),
                "open_questions": tuple(dict.fromkeys((*state.open_questions, *_OPEN.findall(text)))),
            }
        )

    def key_of(self, state: RunState, file: str) -> str:
        """The draft that a tag's `file` means: the workflow's own, or one by its path."""
        path = relative(file) if file else ""
        return OWN if not path or path == self.path_of(state, OWN) or "{" in path else path

    def section_key(self, state: RunState, section: str) -> str:
        """The section's name; within a for-each, one of its own for each item."""
        if not state.loops:
            return section
        return f"{section} {' '.join(str(loop.items[loop.index])[:40] for loop in state.loops)}"

    def input_of(self, path: str) -> InputFile:
        """A document with the digest of what it says now."""
        text = self.ports.documents.read(path) or ""
        return InputFile(path=path, sha256=hashlib.sha256(text.encode()).hexdigest())

    def matching(self, path: str) -> list[str]:
        """Documents that a path, a glob or a bare file name means."""
        documents = self.ports.documents
        path = relative(path)
        if "*" not in path and documents.read(path) is not None:
            return [path]
        return documents.glob([path] if "/" in path else [path, f"**/{path}"])

    def exists(self, path: str) -> bool | None:
        """Whether such a document or folder is there; None if the name cannot tell."""
        path = relative(path)
        if not path or "{" in path:
            return None
        try:
            return self.ports.documents.exists(path) if "*" not in path and "/" in path else bool(self.matching(path))
        except UnsafePath:
            return None

    def folder(self, state: RunState) -> str:
        """Where the workflow's documents go."""
        folder = state.variables.get("output_folder") or self.ports.config.settings.planning_folder
        return relative(str(folder))

    def _allowed(self, state: RunState, path: str) -> bool:
        return not path.startswith("../") and any(path.startswith(f"{folder}/") for folder in state.folders)

    def write(self, path: str, text: str) -> None:
        """Write a text unless it stands there already; a board that is there only gains rows and goes forward.

        Raises:
            UnsafePath: the path leaves the project or is protected.
            DocumentError: the board cannot take the text.
        """
        there = self.ports.documents.read(path)
        if there and posixpath.basename(path) == BOARD:
            text = guarded(there, text, path)
        if there != text:
            self.ports.documents.write(path, text)

    def write_file(self, state: RunState, path: str, text: str) -> RunState:
        """The state once a file that a model asked for is written, or was refused with a note."""
        path = relative(path)
        if not self._allowed(state, path):
            note = f"The model wanted to write {path!r}, which is outside of the folders that this workflow may write."
            return state.model_copy(update={"open_questions": (*state.open_questions, note)})
        text = text if text.endswith("\n") else text + "\n"
        try:
            self.write(path, text)
        except (UnsafePath, DocumentError) as refused:
            return state.model_copy(update={"open_questions": (*state.open_questions, refused.message)})
        return state.model_copy(update={"files": {**state.files, path: text}})

    def attached(self, workflow: Workflow, step: Step) -> list[Source]:
        """Texts of the workflow's own folder that a step tells its reader to read."""
        if workflow.kind == "xml":
            return []
        texts = self.ports.texts
        own = References(texts.names(workflow.folder))
        found: dict[str, str] = {}
        for mention in dict.fromkeys(_ATTACHED.findall(step.node.inner_text())):
            try:
                path = own.find(mention, workflow.folder) or own.find(mention, posixpath.dirname(step.file))
            except InputError:
                continue
            if path and path not in {step.file, workflow.path} and path not in {one.file for one in workflow.steps}:
                found[path] = texts.read(path) or ""
        return [Source(path, text) for path, text in found.items() if len(text) < MAX_ATTACHED]
