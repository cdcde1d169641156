"""Questions that no process watches are told again, ended in time, and their runs woken, when Prefect says so."""

import importlib.util
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prefect import flow, get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterDeploymentId
from prefect.states import Completed
from storyloom.domain.approvals import Given
from storyloom.domain.escalations import Escalation, Kind
from storyloom.flows.looking_after import look_after
from storyloom.flows.waking import NOTES
from storyloom.tasks.alarm import DEPLOYMENT, set_alarm
from storyloom.tasks.answers import submit
from storyloom.tasks.ports import use
from storyloom.tasks.questions import kept_answer, mirror, mirrored
from storyloom.tasks.waiting import SAVED_FILTER, TAG, publish_needs

pytestmark = [pytest.mark.server, pytest.mark.usefixtures("prefect_harness")]


def beside(name):
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


people, waking = beside("people"), beside("test_waking")
START = datetime(2026, 1, 5, 8, tzinfo=UTC)
HOUR = timedelta(hours=1)
TEAM = {"people": [{"name": "dora", "notify": ["dora"]}, {"name": "olga", "role": "admin", "notify": ["olga"]}]}
RULES = {"notify": {"important": ["team"], "remind_every_hours": 4}}


class Post:
    """A notifier that keeps what it was to send."""

    def __init__(self):
        self.sent = []

    def send(self, channel, title, body, severity):
        self.sent.append((channel, title.split(":")[0]))
        return ""


def asked(ports, question=people.ASKED, status="pending", run="", hours=24):
    one = Escalation(
        id=question.id, question=question, severity="important", status=status, flow_run=str(run),
        created=START.isoformat(), deadline=(START + hours * HOUR).isoformat(), default=question.recommendation,
    )  # fmt: skip
    mirror(ports, one)
    return one


def test_reminders_then_the_next_person_then_the_default_and_the_suspended_run_goes_on(tmp_path):
    post = Post()
    ports = people.project_ports(tmp_path, TEAM | RULES, notifier=post)
    top, below = waking.chain(waking.suspended(), Completed())
    one = asked(ports, run=below)
    ports.shelf.put(f"{NOTES}{top}", json.dumps({"id": one.id, "open": [one.id]}))
    assert look_after(ports, START) == [f"{one.id}: told team, dora"]
    assert look_after(ports, START + 3 * HOUR) == []
    assert look_after(ports, START + 5 * HOUR) == [f"{one.id}: told team, dora"]
    assert look_after(ports, START + 25 * HOUR) == [f"{one.id}: told team, dora, olga"]  # olga has until the 28th hour
    assert kept_answer(ports, one.question) is None
    assert waking.state_of(top).is_paused()
    assert look_after(ports, START + 29 * HOUR) == [f"{one.id}: its time is up, it is answered; the run goes on"]
    answer = kept_answer(ports, one.question)
    assert (answer.answer, answer.by) == ("base58", "deadline")
    assert not waking.state_of(top).is_paused()
    assert [title for _, title in post.sent[-3:]] == ["Overdue"] * 3
    assert look_after(ports, START + 99 * HOUR) == []


@pytest.mark.parametrize(
    ("kind", "recommendation", "status", "ends"),
    [
        (Kind.CLARIFICATION, "base58", "set_aside", "answered"),
        (Kind.CLARIFICATION, "", "pending", "set_aside"),
        (Kind.PHASE_GATE, "base58", "pending", "expired"),
        (Kind.PHASE_GATE, "base58", "set_aside", "expired"),
    ],
)
def test_the_end_takes_the_default_or_sets_aside_and_a_gate_expires(tmp_path, kind, recommendation, status, ends):
    ports = people.project_ports(tmp_path)
    question = people.ASKED.model_copy(update={"kind": kind, "recommendation": recommendation})
    one = asked(ports, question, status)
    (said,) = look_after(ports, START + 25 * HOUR)
    assert said == f"{one.id}: its time is up, it is {ends}; the run reads it when it is started again"
    assert mirrored(ports, one.id).status == ends
    assert (kept_answer(ports, question) is not None) == (ends == "answered")


def test_a_run_sleeps_past_an_answer_that_came_while_the_server_was_away_until_somebody_looks(tmp_path):
    ports = people.project_ports(tmp_path)
    top, below = waking.chain(waking.suspended(), Completed())
    shown = asked(ports, run=below, hours=900_000)
    other = asked(ports, people.ASKED.model_copy(update={"question": "And?"}), run=below, hours=900_000)
    ports.shelf.put(f"{NOTES}{top}", json.dumps({"id": shown.id, "open": [shown.id, other.id]}))
    assert look_after(ports) == []
    assert submit(ports, other.id, Given(answer="hex")).verdict == "holds"
    assert look_after(ports) == [f"run {top}: goes on"]
    assert not waking.state_of(top).is_paused()
    with get_client(sync_client=True) as client:
        client.set_flow_run_state(top, Completed(), force=True)
    assert look_after(ports) == []
    assert json.loads(ports.shelf.get(f"{NOTES}{top}")) == {}  # it is not looked for again


def test_prefect_starts_the_watch_when_the_next_thing_is_due_and_once_however_often_it_is_asked(tmp_path):
    ports = people.project_ports(tmp_path, TEAM | RULES)
    one = asked(ports)
    assert set_alarm(ports, [one], START) is None  # nobody serves it here

    @flow(name=DEPLOYMENT)
    def look():
        """Stands for the watch."""

    with get_client(sync_client=True) as client:
        deployment = client.create_deployment(client.create_flow(look), DEPLOYMENT)
        try:
            for hours, due in ((0, 4), (1, 4), (5, 8), (12, 24), (24, 28), (28, None)):
                at = set_alarm(ports, [one], START + hours * HOUR)
                assert at == (due and START + due * HOUR + timedelta(seconds=1)), hours
            wanted = FlowRunFilter(deployment_id=FlowRunFilterDeploymentId(any_=[deployment]))
            runs = client.read_flow_runs(flow_run_filter=wanted)
        finally:
            client.delete_deployment(deployment)
    planned = sorted(run.expected_start_time for run in runs)
    assert planned == [START + hours * HOUR + timedelta(seconds=1) for hours in (4, 8, 24, 28)]
    assert {run.parameters["repository"] for run in runs} == {str(tmp_path)}


def test_what_needs_a_person_is_published_when_it_changed_and_the_filter_is_saved(tmp_path):
    def filters():
        with get_client(sync_client=True) as client:
            reply = client.request("POST", "/saved_searches/filter", json={})
        return {one["name"]: one["filters"] for one in reply.json()}

    assert publish_needs("") is False
    assert publish_needs(f"# One\n\n{tmp_path}") is True
    assert publish_needs(f"# One\n\n{tmp_path}") is False
    assert publish_needs(f"# None\n\n{tmp_path}") is True
    assert {one["property"]: one["value"] for one in filters()[SAVED_FILTER]}["tag"] == [TAG]


def test_a_run_bears_the_tag_while_it_waits_and_what_waits_is_shown(tmp_path):
    from storyloom.flows.asking import settle

    shown = []
    ports = people.project_ports(tmp_path, needs=lambda: shown.append("") or "")

    @flow(name="asks")
    def asking():
        return settle(ports.project, people.ASKED)

    def tags(run_id):
        with get_client(sync_client=True) as client:
            return client.read_flow_run(run_id).tags

    with use(lambda _project: ports):
        join = people.in_thread(asking)
        one = people.open_question(ports)
        assert tags(one.flow_run) == [TAG]
        assert len(shown) == 1
        submit(ports, one.id, Given(answer="hex"))
        assert join().answer == "hex"
    assert tags(one.flow_run) == []
    assert len(shown) == 2


def test_a_question_that_is_set_aside_night_after_night_keeps_its_deadline(tmp_path):
    from storyloom.flows.asking import settle

    ports = people.project_ports(tmp_path, {"settings": {"when_asked": "set_aside", "answer_within_hours": 72}})

    @flow(name="asks")
    def asking():
        return settle(ports.project, people.ASKED)

    with use(lambda _project: ports):
        assert asking() is None
        first = mirrored(ports, people.ASKED.id)
        past = {"created": (START - 30 * HOUR).isoformat(), "deadline": (datetime.now(UTC) + HOUR).isoformat()}
        mirror(ports, first.model_copy(update=past))
        assert asking() is None
        second = mirrored(ports, people.ASKED.id)
        assert (second.status, second.deadline) == ("set_aside", past["deadline"])
        mirror(ports, second.model_copy(update={"deadline": START.isoformat()}))
        assert asking().by == "deadline"
