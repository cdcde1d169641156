"""While questions wait processes and the server die: each run ends by the one answer that holds, applied once?

Rounds are spread over five waves (what dies) and seven ways to answer; 7 by default, STORYLOOM_ROUNDS for more: each
five times seven rounds have all pairs. Answers come from other processes in another directory, with another home.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from storyloom.blocks.call_journal import CallJournal
from storyloom.blocks.shelf import FileShelf
from storyloom.deployments import server as servers
from storyloom.deployments.environment import prefect_settings, project_folder
from storyloom.deployments.server import answers, free_port, stop_child, wait_until
from storyloom.domain.escalations import Answer, Escalation

pytestmark = [pytest.mark.server, pytest.mark.slow, pytest.mark.timeout(3600)]

CHILD = Path(__file__).with_name("waiting_child.py")
ROUNDS = int(os.environ.get("STORYLOOM_ROUNDS", "7"))
WAVES = ("nothing dies", "worker killed", "server restarted", "worker and server killed", "worker killed half-way")
WAYS = ("form", "command", "shelf", "double", "wrong first", "stale", "form and command")
WHILE_DOWN = ("shelf", "double")
"""Answered while the server is away, where it dies alone."""

Given = dict[str, Any]


class Child:
    """A process that is told and says one line of JSON at a time."""

    def __init__(self, what: str, folder: Path, env: dict[str, str], cwd: Path) -> None:
        self.errors = folder / f"{what}-{free_port()}.errors"
        with self.errors.open("w") as errors:
            self.process = subprocess.Popen(
                [sys.executable, str(CHILD), what, str(folder)],
                env=env, cwd=cwd, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True,
            )  # fmt: skip

    def tell(self, what: Any) -> None:
        assert self.process.stdin
        self.process.stdin.write(json.dumps(what) + "\n")
        self.process.stdin.flush()

    def hear(self) -> Any:
        assert self.process.stdout
        line = self.process.stdout.readline()
        assert line, self.errors.read_text()[-3000:]
        return json.loads(line)

    def end(self) -> None:
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait(60)


class Place:
    """A project, a server that can be restarted on the same database, and the processes that work on them."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self.url = f"http://127.0.0.1:{self.port}/api"
        project = folder / "project"
        (project / ".bmad").mkdir(parents=True)
        (project / ".bmad" / "project-config.yaml").write_text("project: {name: Parts}\n")
        (folder / "subjects").mkdir()
        (folder / "elsewhere").mkdir()
        (folder / "home").mkdir()
        who = ["-c", "user.name=t", "-c", "user.email=t@localhost"]
        for arguments in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-q", "-m", "start"]):
            subprocess.run(["git", *who, *arguments], cwd=project, check=True)
        self.state = project_folder(folder / "home", project)
        self.shelf = FileShelf(self.state / "shelf")
        worker = {**os.environ, **prefect_settings(folder / "home", self.url)}
        self.runner = Child("run", folder, worker, folder)
        other = {**os.environ, "PREFECT_API_URL": self.url, "PREFECT_HOME": str(folder / "elsewhere" / "prefect")}
        other |= {"HOME": str(folder / "elsewhere"), "STORYLOOM_HOME": str(folder / "elsewhere" / "storyloom")}
        self.answerers = [Child("answer", folder, other, folder / "elsewhere") for _ in range(2)]
        self.start_server()
        for child in (self.runner, *self.answerers):
            assert child.hear() == "ready"

    def start_server(self) -> None:
        log = self.folder / "server" / "log"
        env = {**os.environ, **prefect_settings(self.folder / "server", self.url)}
        env.pop("PREFECT_API_URL")
        command = [sys.executable, "-m", "uvicorn", "--factory", servers.APP]
        command += ["--host", "127.0.0.1", "--port", str(self.port), "--log-level", "warning"]
        self.server = servers.start_child(command, env, log)
        wait_until(lambda: answers(f"{self.url}/health"), self.server, "The Prefect server", log, 120)

    def stop_server(self, *, kill: bool) -> None:
        if kill:
            os.killpg(self.server.pid, signal.SIGKILL)
            self.server.wait()
        stop_child(self.server)

    def end(self) -> None:
        for child in (self.runner, *self.answerers):
            child.end()
        self.stop_server(kill=False)

    def all(self, names: list[str]) -> list[Escalation]:
        texts = [self.shelf.get(name) or "" for name in self.shelf.names(".bmad-escalations/")]
        return [e for e in map(Escalation.model_validate_json, texts) if e.question.story in names]

    def waiting(self, names: list[str]) -> list[Escalation]:
        """The open questions whose runs are paused."""
        return [e for e in self.all(names) if e.status == "pending" and _paused(e.flow_run)]

    def kept(self, question: str) -> Answer | None:
        text = self.shelf.get(f"answers/{question}.json")
        return Answer.model_validate_json(text) if text else None

    def give(self, wanted: list[Given]) -> list[Given]:
        """Give all the answers at once, through the process that each names; what came of each."""
        parts = [[one for one in wanted if one["from"] == number] for number in (0, 1)]
        told = [(child, part) for child, part in zip(self.answerers, parts, strict=True) if part]
        for child, part in told:
            child.tell(part)
        return [one for child, _ in told for one in child.hear()]


def _paused(run_id: str) -> bool:
    from prefect import get_client

    with get_client(sync_client=True) as client:
        state = client.read_flow_run(run_id).state
    return state is not None and state.is_paused()


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    from prefect.settings import PREFECT_API_URL, temporary_settings

    place = Place(tmp_path)
    try:
        with temporary_settings({PREFECT_API_URL: place.url}):
            yield place
    finally:
        place.end()


def wait_for(what: Callable[[], Any], seconds: float = 300) -> Any:
    until = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < until, "it never came"
        time.sleep(0.2)
    return found


tags = count()


def answers_to(asked: Escalation, way: str, before: str = "") -> list[list[Given]]:
    """What is answered to one question, all of a list at once; `before` is the question that stood at its place."""
    good, bad = asked.question.options

    def one(by: str, text: str, number: int, **more: str) -> Given:
        tag = f"{by} {text} {next(tags)}"
        given = {"question": asked.id, "way": by, "answer": text, "digest": "", "tag": tag, "from": number}
        return given | more

    if way == "stale" and not before:
        return [[one("command", good, 0, digest=asked.question.subject)]]
    if way == "stale":  # of the earlier question; of this one, seen before it changed; then one that holds
        old = one("shelf", good, 0, question=before)
        return [[old, one("command", good, 1, digest="first")], [one("command", bad, 0, digest=asked.question.subject)]]
    if way == "double":
        return [[one("command", good, 0), one("shelf", bad, 1)]]
    if way == "wrong first":
        return [[one("form", "green", 0), one("command", "green", 1)], [one("command", bad, 1)]]
    if way == "form and command":
        return [[one("form", good, 0), one("command", bad, 1)]]
    return [[one(way, bad, 0)]]


class Wave:
    """Questions that wait together while something dies."""

    def __init__(self, place: Place, number: int, rounds: list[int]) -> None:
        self.place, self.kind = place, WAVES[number]
        self.ways = {f"{'gate' if WAYS[n % 7] == 'stale' else 'ask'}-{number}-{n}": WAYS[n % 7] for n in rounds}
        self.names = list(self.ways)
        self.told: list[Given] = []
        self.answered: set[str] = set()
        self.started = time.monotonic()

    def run(self) -> None:
        for name in self.names:
            self.subject(name, "first")
        process = self.start()
        first = wait_for(lambda: (found := self.place.waiting(self.names)) and len(found) == len(self.ways) and found)
        for name, way in self.ways.items():
            if way == "stale":
                self.subject(name, "second")
        if self.kind == "worker killed half-way":
            self.tell(first[: len(first) // 2])
        if "worker" in self.kind:
            os.kill(process, signal.SIGKILL)
            assert self.place.runner.hear() == {"code": -signal.SIGKILL}
        if "server" in self.kind:
            self.place.stop_server(kill="killed" in self.kind)
            if self.kind == "server restarted":
                self.tell([e for e in first if self.ways[e.question.story] in WHILE_DOWN])
            self.place.start_server()
        self.tell(first)
        if "worker" in self.kind:
            (self.place.folder / "ends.json").unlink(missing_ok=True)
            self.start()
        for looks in count():
            if (self.place.folder / "ends.json").exists():
                break
            assert looks < 1500, (self.place.all(self.names), self.place.runner.errors.read_text()[-3000:])
            time.sleep(0.2)
            self.tell(self.place.waiting(self.names))
        assert self.place.runner.hear() == {"code": 0}, self.place.runner.errors.read_text()[-3000:]

    def start(self) -> int:
        (self.place.folder / "ends.json").unlink(missing_ok=True)
        self.place.runner.tell({"names": self.names})
        return int(self.place.runner.hear()["pid"])

    def subject(self, name: str, text: str) -> None:
        (self.place.folder / "subjects" / name).write_text(text)

    def tell(self, asked: list[Escalation]) -> None:
        """Answer those that were not answered yet, first with first, second with second."""
        new = [e for e in asked if e.id not in self.answered]
        self.answered |= {e.id for e in new}
        before = {e.question.story: e.id for e in self.place.all(self.names) if e.question.subject == "first"}
        turns = [
            answers_to(
                e, self.ways[e.question.story], before[e.question.story] if e.question.subject == "second" else ""
            )
            for e in new
        ]
        for number in (0, 1):
            if wanted := [given for turn in turns for given in (turn[number] if number < len(turn) else [])]:
                self.told += self.place.give(wanted)

    def judge(self) -> dict[str, int]:
        """Hold that each question got the one answer that holds, and the work what it needed, once; the figures."""
        ends = json.loads((self.place.folder / "ends.json").read_text())
        assert list(ends) == self.names
        for question in {one["question"] for one in self.told}:
            self.judge_question(question, [one for one in self.told if one["question"] == question])
        last = {e.question.story: e for e in self.place.all(self.names) if e.status == "answered"}
        last |= {e.question.story: e for e in self.place.all(self.names) if e.question.subject == "second"}
        answered = {name: self.place.kept(last[name].id) for name in self.names}
        assert ends == {name: kept and kept.answer for name, kept in answered.items()}, self.kind
        assert {last[n].question.subject for n, way in self.ways.items() if way == "stale"} <= {"second"}
        late = self.late(list(last.values()))
        assert {name: self.place.kept(last[name].id) for name in self.names} == answered
        sent = Counter((self.place.folder / "sent").read_text().splitlines())
        wanted = {f"before {name}" for name in ends} | {f"after {name} {said}" for name, said in ends.items()}
        assert {line for line in sent if line.split()[1] in ends} == wanted
        unknown = sum(sent[line] - 1 for line in wanted)
        assert unknown == 0 or self.kind == "worker killed half-way"
        refused = sum(one["verdict"] == "refused" for one in self.told)
        return {"rounds": len(ends), "answers": len(self.told), "refused": refused, "late": late, "unknown": unknown}

    def judge_question(self, question: str, given: list[Given]) -> None:
        kept = self.place.kept(question)
        holds = [one["tag"] for one in given if one["verdict"] == "holds"]
        forms = [one["tag"] for one in given if one["verdict"] == "sent"]
        assert all(one["reason"] for one in given if one["verdict"] == "refused")
        assert all(one["verdict"] == "refused" for one in given if one["answer"] == "green")
        assert kept is not None, (self.kind, given)
        assert kept.source == "person"
        assert holds == [kept.notes] or (not holds and kept.notes in forms), (self.kind, given, kept)

    def late(self, asked: list[Escalation]) -> int:
        """Answer once more, by the shelf and by the form, when all has ended; how many answers were refused."""
        late = [
            {"question": e.id, "way": way, "answer": e.question.options[0], "digest": "", "tag": "late", "from": number}
            for e in asked
            for number, way in enumerate(("shelf", "form"))
        ]
        came = self.place.give(late)
        assert {one["verdict"] for one in came} == {"refused"}
        assert all("answered already" in one["reason"] for one in came if one["way"] == "shelf")
        return len(came)


def recorded_twice(place: Place) -> list[str]:
    """Model calls of which more than one answer is on record."""
    attempts = Counter(a.logical_call_id for a in CallJournal(place.state / "journal").all_attempts() if a.reply)
    return [call for call, times in attempts.items() if times > 1]


def test_questions_wait_while_processes_and_the_server_die_and_each_is_answered_once(place: Place) -> None:
    print(f"\n{'what dies':<26}rounds answers refused late unknown-calls    s", flush=True)
    total = Counter[str]()
    for number, kind in enumerate(WAVES):
        wave = Wave(place, number, list(range(number, ROUNDS, len(WAVES))))
        wave.run()
        found = wave.judge()
        total.update(found)
        row = "{rounds:>6}{answers:>8}{refused:>8}{late:>5}{unknown:>14}".format(**found)
        print(f"{kind:<26}{row}{time.monotonic() - wave.started:>5.0f}", flush=True)
    print("{:<26}{rounds:>6}{answers:>8}{refused:>8}{late:>5}{unknown:>14}".format("all", **total), flush=True)
    assert total["rounds"] == ROUNDS
    assert recorded_twice(place) == []
