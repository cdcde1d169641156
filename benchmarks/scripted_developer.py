"""What would a model answer that knows every reference solution, and errs once where it is told to?

`Script.answer` is a pure function of the conversation: the same words whether it is asked in this process
(`ScriptedRoute`, behind the real door) or over HTTP (`ScriptedSource`, behind the rehearsal server).
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from storyloom.domain.errors import ModelBroken, ModelBusy, ModelTimeout
from storyloom.domain.model_calls import Message, ModelRequest, ToolCall, Usage
from storyloom.domain.wire import Abilities, Abort, RawReply
from storyloom.rehearsal.exchange import Alter, Exchange, Response, answer_response, miss
from storyloom.rehearsal.faults import Fault
from storyloom.rehearsal.talk import Answer, Asked, ToolUse
from storyloom.rehearsal.tokens import bill

from .task_sets import Change, Task, story_ids

SUBJECT = re.compile(r"Story (\d+\.\d+) · (develop|review|conflict)(?: · round (\d+))?")
MODEL_FAULTS = ("buggy", "unchecked", "malformed", "not_json", "half", "rejected", "over_budget")
"""What the developer does wrong at first: a wrong solution; one that it calls finished without running the tests; an
edit whose search text is not there; arguments that are no JSON; half of the files; a change that the reviewer sends
back; an answer that bills more than the story may cost."""
WIRE_FAULTS = ("timeout", "overloaded", "broken")
FAULTS = (*MODEL_FAULTS, *WIRE_FAULTS)
FORTUNE = 20_000_000  # output tokens that no story's budget covers


Call = tuple[str, dict[str, object]]


@dataclass(frozen=True)
class Said:
    """An answer: text, calls by name, and the output tokens that it bills beside its own."""

    text: str = ""
    calls: tuple[Call, ...] = ()
    extra_tokens: int = 0


@dataclass
class Script:
    """All answers to all stories. `faults` names the fault of a story by its number, none for the others."""

    tasks: Sequence[Task]
    faults: Mapping[str, str] = field(default_factory=dict)
    by_story: dict[str, Task] = field(init=False)

    def __post_init__(self) -> None:
        ids = story_ids(self.tasks)
        self.by_story = {ids[task.id]: task for task in self.tasks}

    def answer(self, subject: str, turn: int, news: str) -> Said | None:
        """The answer to the conversation about `subject` after `turn` earlier answers; None to what it does not know.

        `news` is what was said since the last answer.
        """
        found = SUBJECT.search(subject)
        if found is None or found[1] not in self.by_story:
            return None
        task, fault = self.by_story[found[1]], self.faults.get(found[1], "")
        if found[2] == "review":
            return _review(task, first=found[3] == "1", rejects=fault == "rejected")
        if found[2] == "conflict":
            fault = ""
        if turn == 0:
            return _first(task, fault)
        if turn == 1 and fault in ("malformed", "not_json", "half"):
            return Said("I mend it.", (*_changes(task, again=True), ("run_tests", {})))
        if re.search(r"passed, 0 failed|^The tests pass", news, re.MULTILINE) and "The tests fail" not in news:
            return _finish(task)
        if "review sent the story back" in news:
            return Said("I look at it again.", (*_finish(task).calls,))
        return Said("I mend it.", (*_changes(task, again=True), ("run_tests", {})))


def choose_faults(tasks: Sequence[Task], seed: int, kinds: Sequence[str] = FAULTS) -> dict[str, str]:
    """A fault for three stories in four, by their numbers; the same for the same seed."""
    chosen = {}
    for story in story_ids(tasks).values():
        draw = int.from_bytes(hashlib.sha256(f"{seed}|{story}".encode()).digest()[:4], "big")
        if draw % 4:
            chosen[story] = kinds[draw // 4 % len(kinds)]
    return chosen


def wire_faults(faults: Mapping[str, str]) -> list[Fault]:
    """The faults of the wire as the rehearsal server takes them; a timeout becomes a broken connection there."""
    kinds = {"timeout": "cut", "overloaded": "overloaded", "broken": "drop"}
    return [
        Fault.model_validate(
            {"kind": kinds[kind], "subject": f"Story {story} · develop", "turn": 0, "retry_after": 0.1}
        )
        for story, kind in faults.items()
        if kind in kinds
    ]


def _finish(task: Task) -> Said:
    return Said("Done.", (("finish", {"summary": f"{task.title}: done, with its test.", "notes": ""}),))


def _first(task: Task, fault: str) -> Said:
    right = _changes(task)
    tests: Call = ("run_tests", {})
    known = dict.fromkeys(change.path for change in task.solution if change.search)
    reads: tuple[Call, ...] = tuple(("read_file", {"path": path}) for path in known)
    match fault:
        case "buggy":
            return Said("A first attempt.", (*_changes(task, wrong=True), tests))
        case "unchecked":
            return Said("Done at once.", (*_changes(task, wrong=True), *_finish(task).calls))
        case "malformed":
            edit = {"search": "this line stands nowhere at all\n", "replace": "x = 1\n"}
            return Said("An edit.", (("edit_file", {"path": task.solution[0].path, "edits": [edit]}), tests))
        case "not_json":
            return Said("", (("write_file", {"_raw": '{"path": "' + task.test_path + '", "content": "de'}),))
        case "half":
            return Said("The test first.", (("write_file", {"path": task.test_path, "content": task.test}), tests))
        case "over_budget":
            return Said("", (*right, tests), FORTUNE)
        case _:
            return Said("I write it and its test.", (*reads, *right, tests))


def _changes(task: Task, *, wrong: bool = False, again: bool = False) -> tuple[Call, ...]:
    """The calls that make the solution and its test; `wrong` spoils it, `again` first takes back what was spoiled."""
    calls: list[Call] = []
    spoiled = [_spoiled(change, at) for at, change in enumerate(task.solution, 1)]
    if again:  # an edit that was refused left nothing to take back: this is refused then, and nothing changes
        undone = reversed(list(zip(task.solution, spoiled, strict=True)))
        calls += [_edit(change.path, text, change.search) for change, text in undone if change.search]
    for change, text in zip(task.solution, spoiled, strict=True):
        new = text if wrong else change.text
        if change.search:
            calls.append(_edit(change.path, change.search, new))
        else:
            calls.append(("write_file", {"path": change.path, "content": new}))
    return (*calls, ("write_file", {"path": task.test_path, "content": task.test}))


def _edit(path: str, search: str, new: str) -> Call:
    return ("edit_file", {"path": path, "edits": [{"search": search, "replace": new}]})


def _spoiled(change: Change, number: int) -> str:
    """A text that can be found again, and with which no test passes; it ends a line where the old text does."""
    old = change.search or change.text
    eol = "\r\n" if "\r\n" in old else "\n"
    indent = re.match(r"[ \t]*", old.lstrip("\r\n"))
    end = eol if not change.search or old.endswith("\n") else ""
    return f"{indent.group() if indent else ''}raise RuntimeError('wrong at first, change {number}'){end}"


def _review(task: Task, *, first: bool, rejects: bool) -> Said:
    criterion = (
        f"Given the project, when its tests run, then those of {task.test_path.replace('/', ' ')} are there and pass."
    )
    met = {
        "criterion": criterion,
        "met": True,
        "evidence": f"{task.test_path} is in the diff, and our run of it passes",
    }
    finding = {
        "severity": "medium",
        "title": "Say once more that the test was run",
        "detail": "",
        "file": task.solution[0].path,
        "line": None,
        "status": "open",
        "reason": "",
    }
    back = first and rejects
    return Said(
        json.dumps(
            {
                "verdict": "changes_requested" if back else "approve",
                "summary": "The change does what the story asks.",
                "criteria": [met],
                "findings": [finding] if back else [],
            }
        )
    )


class ScriptedRoute:
    """A route that answers in this process after `latency_s(subject, turn)` seconds; `asked` counts what was asked."""

    name = "scripted"

    def __init__(self, script: Script, *, latency_s: float = 0.0, spread_s: float = 0.0) -> None:
        self._script, self._latency, self._spread = script, latency_s, spread_s
        self._lock = threading.Lock()
        self.asked: Counter[tuple[str, int]] = Counter()

    def send(
        self,
        request: ModelRequest,
        model: str,
        *,
        deadline_s: float,  # noqa: ARG002 - the port's signature
        abilities: Abilities,  # noqa: ARG002
        abort: Abort,  # noqa: ARG002
    ) -> RawReply:
        """The script's answer, or the fault that is due."""
        subject = request.messages[0].content.split("\n", 1)[0]
        turn = sum(message.role == "assistant" for message in request.messages)
        with self._lock:
            self.asked[subject, turn] += 1
            times = self.asked[subject, turn]
        wait = self.latency(subject, turn)
        if wait:
            time.sleep(wait)
        self._fail(subject, turn, times)
        said = self._script.answer(subject, turn, _news(request.messages))
        if said is None:
            raise ModelBroken(f"The script knows nothing of {subject!r}.")
        tokens = sum(len(message.content) for message in request.messages) // 4
        return RawReply(
            content=said.text,
            tool_calls=tuple(
                ToolCall.model_validate({"id": f"call-{turn}-{at}", "name": name, "arguments": arguments})
                for at, (name, arguments) in enumerate(said.calls)
            ),
            stop_reason="tool_calls" if said.calls else "stop",
            usage=Usage(input=tokens, output=len(str(said.calls)) // 4 + 1 + said.extra_tokens),
            model=model,
        )

    def latency(self, subject: str, turn: int) -> float:
        """How long an answer takes: the same for the same question."""
        draw = int.from_bytes(hashlib.sha256(f"{subject}|{turn}".encode()).digest()[:4], "big") / (1 << 32)
        return self._latency + draw * self._spread

    def _fail(self, subject: str, turn: int, times: int) -> None:
        found = SUBJECT.search(subject)
        if found is None or found[2] != "develop" or turn or times > 1:
            return
        match self._script.faults.get(found[1]):
            case "timeout":
                raise ModelTimeout("Nothing came before the deadline.")
            case "overloaded":
                busy = ModelBusy("overloaded", retry_after_s=0.1)
                busy.http_status = 529
                raise busy
            case "broken":
                raise ModelBroken("The connection broke.")


def _news(messages: Sequence[Message]) -> str:
    last = max((at for at, message in enumerate(messages) if message.role == "assistant"), default=-1)
    return "\n".join(message.content for message in messages[last + 1 :])


class ScriptedSource:
    """The script behind the rehearsal server: the same answers over HTTP, in either provider's format."""

    def __init__(self, script: Script, latency_s: float = 0.0) -> None:
        self._script, self._latency = script, latency_s

    def respond(self, exchange: Exchange, alter: Alter | None) -> Response:
        """The answer in the request's format."""
        asked = exchange.asked
        said = self._script.answer(asked.subject, asked.turn, asked.news) if asked else None
        if asked is None or said is None:
            return miss(exchange.wire, "The script does not know this story.")
        answer = self._answer(asked, said)
        return answer_response(exchange.wire, asked, alter(answer) if alter else answer)

    def _answer(self, asked: Asked, said: Said) -> Answer:
        tools = tuple(ToolUse(name, dict(arguments)) for name, arguments in said.calls)
        text = said.text
        if not tools and asked.forced_tool:
            tools, text = (ToolUse(asked.forced_tool, json.loads(text)),), ""
        answer = Answer(
            id=asked.digest,
            text=text,
            tools=tools,
            stop="tools" if tools else "end",
            latency_s=self._latency,
            entry=asked.subject,
        )
        usage = bill(asked, answer).usage
        return replace(answer, usage=usage.model_copy(update={"output": usage.output + said.extra_tokens}))
