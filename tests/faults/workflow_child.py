"""What is killed: a process that imports everything once, then forks a fresh run of a workflow for each line of input.

A line is {"folder": …, "kill_at": N}. The run counts its boundaries (before and after each model call, document, shelf
entry and event) and kills itself with SIGKILL at number `kill_at`, 0 for never. The answer is its exit status.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings
from storyloom.blocks.atomic_files import write_atomic
from storyloom.blocks.shelf import FileShelf
from storyloom.domain.fakes import MemoryDocuments, MemoryTexts
from storyloom.domain.model_calls import ModelReply, ModelRequest
from storyloom.domain.ports import ProjectRef
from storyloom.domain.settings import Project, ProjectConfig, Settings
from storyloom.flows.run_workflow import run_workflow
from storyloom.tasks.ports import Ports, use

WORKFLOW = {
    "workflows/note/workflow.yaml": (
        "name: note\nagent: mary\ninstructions: i.md\ntemplate: t.md\nvalidation: c.md\n"
        "default_output_file: docs/note.md\n"
        "input_file_patterns: {idea: {whole: 'docs/idea*.md'}}\n"
    ),
    "workflows/note/t.md": "# {{project_name}}\n\n{{opening}}\n\n{{points}}\n\n{{closing}}\n",
    "workflows/note/c.md": "- [ ] it is there\n",
    "workflows/note/i.md": (
        "<workflow><step n='1' goal='Open'><action>Begin</action><template-output>opening</template-output></step>"
        "<step n='2' goal='Points'><ask response='tone'>Which tone?</ask><check if='it is long'><action>cut</action>"
        "</check><template-output>points</template-output><template-output>extra</template-output></step>"
        "<step n='3' goal='List'><action>List the parts</action></step></workflow>"
    ),
}
FORMS: dict[str, dict[str, Any]] = {
    "verdict": {"holds": True, "reason": "it is"},
    "answer": {"answer": "dry", "confidence": 0.5, "reason": "", "quote": ""},
    "checks": {"items": [{"item": "it is there", "verdict": "PASS", "evidence": ""}]},
    "remaining": {"closing": "The end."},
    "report": {
        "report": "listed", "document": "", "variables": [], "assumptions": ["few"], "open_questions": [], "stop": "",
        "files": [{"path": "docs/parts.md", "text": "- one\n"}],
    },
}  # fmt: skip


class Outside:
    """All that the run touches, with a boundary before and after each touch."""

    def __init__(self, folder: Path, kill_at: int) -> None:
        self.folder, self.kill_at, self.count = folder, kill_at, 0
        self.journal = folder / "journal"
        self.shelf = FileShelf(folder / "shelf")

    def boundary(self) -> None:
        self.count += 1
        (self.folder / "boundaries").write_text(str(self.count))
        if self.count == self.kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def complete(self, request: ModelRequest) -> ModelReply:
        known = self.journal / request.content_key()
        if known.exists():
            return ModelReply.model_validate_json(known.read_text())
        self.boundary()
        subject = request.messages[0].content.splitlines()[0]
        with (self.folder / "asked").open("a") as asked:
            asked.write(subject + "\n")
        form = FORMS.get(request.schema_name)
        reply = ModelReply(content=json.dumps(form) if form else f"Text of {subject}.")
        self.journal.mkdir(exist_ok=True)
        write_atomic(known, reply.model_dump_json())
        self.boundary()
        return reply

    def put(self, name: str, text: str) -> None:
        self.boundary()
        self.shelf.put(name, text)
        self.boundary()


class Documents(MemoryDocuments):
    """Documents in a folder."""

    def __init__(self, outside: Outside) -> None:
        self.outside, self.root = outside, outside.folder / "project"
        files = [path for path in self.root.rglob("*.md") if path.is_file()]
        super().__init__({path.relative_to(self.root).as_posix(): path.read_text() for path in files})

    def write(self, path: str, text: str) -> None:
        self.outside.boundary()
        super().write(path, text)
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        write_atomic(self.root / path, text)
        self.outside.boundary()


def run(job: dict[str, Any]) -> bool:
    outside = Outside(Path(job["folder"]), job["kill_at"])
    shelf = SimpleNamespace(get=outside.shelf.get, put=outside.put)

    def factory(project: ProjectRef) -> Ports:
        return Ports(
            project,
            config=ProjectConfig(project=Project(name="Shelf"), settings=Settings(questions="simulate")),
            models=SimpleNamespace(complete=outside.complete),  # type: ignore[arg-type]
            documents=Documents(outside),
            texts=MemoryTexts(WORKFLOW),
            shelf=shelf,  # type: ignore[arg-type]
            recorder=SimpleNamespace(record=lambda _event: None),  # type: ignore[arg-type]
        )

    with use(factory), temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
        outcome = run_workflow(ProjectRef(repository=str(outside.folder)), "note")
    (outside.folder / "outcome").write_text(outcome.model_dump_json(indent=1))
    return outcome.status == "complete"


def main() -> None:
    print("ready", flush=True)
    for line in sys.stdin:
        child = os.fork()
        if not child:
            status = 3
            try:
                status = 0 if run(json.loads(line)) else 2
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stderr.flush()
                os._exit(status)
        _, raw = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(raw), flush=True)


if __name__ == "__main__":
    main()
