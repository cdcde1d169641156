"""A question outlives the server's absence and its own process: a form that was filled in is never lost."""

import importlib.util
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from prefect import flow, get_client, resume_flow_run
from prefect.exceptions import PrefectHTTPStatusError
from prefect.input import keyset_from_base_key
from prefect.states import Crashed, Paused
from storyloom.domain.escalations import Kind
from storyloom.flows import pausing
from storyloom.flows.forms import WOKEN, form
from storyloom.flows.looking_after import look_after
from storyloom.tasks.ports import use
from storyloom.tasks.questions import kept_answer, mirror, mirrored

pytestmark = [pytest.mark.server, pytest.mark.whole, pytest.mark.usefixtures("prefect_harness")]

_spec = importlib.util.spec_from_file_location("people", Path(__file__).with_name("people.py"))
people = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(people)
ASKED = people.ASKED
GATE = ASKED.model_copy(update={"kind": Kind.PHASE_GATE, "options": ("approve", "reject"), "recommendation": ""})


@flow(name="asked-before")
def asked_before():
    """Never started: what a killed process left behind."""


def asks(ports, question=ASKED):
    from storyloom.flows.asking import settle

    @flow(name="asks")
    def asking():
        return settle(ports.project, question)

    with use(lambda _project: ports):
        return asking()


def left_by_a_dead_process(ports, question=ASKED, *, deadline=None, **given):
    """A question whose run has no process any more, its form filled in all the same."""
    from storyloom.domain.escalations import Escalation

    now = datetime.now(UTC)
    with get_client(sync_client=True) as client:
        run = client.create_flow_run(asked_before)
        asked = Escalation(
            id=question.id,
            question=question,
            severity="important",
            created=now.isoformat(timespec="seconds"),
            deadline=(deadline or now + timedelta(hours=1)).isoformat(timespec="seconds"),
            default=question.recommendation,
            flow_run=str(run.id),
        )
        mirror(ports, asked)
        state = Paused(timeout_seconds=3600, pause_key=f"{question.id}-0")
        state.state_details.run_input_keyset = keyset_from_base_key(f"paused-{question.id}-0")
        client.set_flow_run_state(run.id, state, force=True)
        form(asked).save(state.state_details.run_input_keyset, flow_run_id=run.id)
        if given:
            resume_flow_run(run.id, run_input=given)
        client.set_flow_run_state(run.id, Crashed(message="Its process is gone."), force=True)
    return asked


def test_a_form_that_was_filled_in_when_nobody_read_it_any_more_answers_the_next_run(tmp_path):
    ports = people.project_ports(tmp_path)
    asked = left_by_a_dead_process(ports, answer="hex", notes="while it was dead")
    answer = asks(ports)
    assert (answer.answer, answer.source, answer.notes) == ("hex", "person", "while it was dead")
    after = mirrored(ports, asked.id)
    assert (after.status, after.flow_run) == ("answered", asked.flow_run)


def test_it_counts_though_the_deadline_has_passed_by_the_time_it_is_read(tmp_path):
    ports = people.project_ports(tmp_path)
    left_by_a_dead_process(ports, deadline=datetime.now(UTC) - timedelta(minutes=1), answer="hex")
    assert asks(ports).answer == "hex"


def test_whoever_looks_after_questions_reads_left_forms_before_it_takes_the_default(tmp_path, monkeypatch):
    ports = people.project_ports(tmp_path)
    late = {"deadline": datetime.now(UTC) - timedelta(minutes=1)}
    asked = left_by_a_dead_process(ports, **late, answer="hex")
    with monkeypatch.context() as patch:
        patch.setattr("storyloom.flows.left_forms.runs_above", absent_server)
        look_after(ports)
    assert mirrored(ports, asked.id).status == "pending"  # nobody can know yet
    look_after(ports)
    assert (mirrored(ports, asked.id).status, kept_answer(ports, ASKED).answer) == ("answered", "hex")
    other = ASKED.model_copy(update={"question": "Which database?"})
    asked = left_by_a_dead_process(ports, other, **late)
    look_after(ports)
    assert kept_answer(ports, other).by == "deadline"


def absent_server(_run_id):
    raise httpx.ConnectError("away")


def test_a_form_that_nobody_filled_in_answers_nothing(tmp_path):
    ports = people.project_ports(tmp_path, {"settings": {"when_asked": "set_aside"}})
    left_by_a_dead_process(ports, answer="hex", notes=WOKEN)
    assert asks(ports) is None
    left_by_a_dead_process(ports)
    assert asks(ports) is None


def test_a_left_form_about_what_has_changed_since_approves_nothing(tmp_path):
    ports = people.project_ports(tmp_path, {"settings": {"when_asked": "set_aside"}})
    old, new = (GATE.model_copy(update={"subject": subject}) for subject in ("one", "two"))
    left_by_a_dead_process(ports, old, answer="approve")
    assert asks(ports, new) is None
    assert kept_answer(ports, new) is kept_answer(ports, old) is None


def test_one_of_two_approvals_that_a_dead_process_left_is_counted_once(tmp_path):
    config = {"people": [{"name": n, "role": "approver"} for n in ("anna", "axel")], "gates": {"approvals": 2}}
    ports = people.project_ports(tmp_path, config | {"settings": {"when_asked": "set_aside"}})
    left_by_a_dead_process(ports, GATE, answer="approve")  # nobody's name: the form would not have taken it
    assert asks(ports, GATE) is None
    assert ports.shelf.names("votes/") == []


def test_a_run_that_was_deleted_or_never_paused_has_left_no_form(tmp_path):
    ports = people.project_ports(tmp_path, {"settings": {"when_asked": "set_aside"}})
    asked = left_by_a_dead_process(ports, answer="hex")
    with get_client(sync_client=True) as client:
        client.delete_flow_run(asked.flow_run)
    assert asks(ports) is None


class Absent:
    """Prefect's own pause; the server is away when the given calls begin, or when their run is paused already."""

    def __init__(self, *failures):
        self.failures, self.pause = list(failures), pausing.pause_flow_run

    def __call__(self, **given):
        trouble = self.failures.pop(0) if self.failures else None
        if isinstance(trouble, Exception):
            raise trouble
        shown = given["wait_for_input"]

        def save(keyset):
            del shown.save
            if trouble == "form shown":
                shown.save(keyset)
            raise httpx.ReadError("gone")

        if trouble:
            shown.save = save
        return self.pause(**given)


def answered(status):
    request = httpx.Request("POST", "http://127.0.0.1/api")
    return PrefectHTTPStatusError("no", request=request, response=httpx.Response(status, request=request))


@pytest.mark.parametrize("gone", [httpx.ConnectError("away"), answered(503), "no form yet", "form shown"])
def test_a_question_goes_on_waiting_while_the_server_is_away(tmp_path, monkeypatch, gone):
    ports = people.project_ports(tmp_path)
    absent, looks = Absent(gone), []
    monkeypatch.setattr(pausing, "pause_flow_run", absent)
    monkeypatch.setattr(pausing, "get_client", lambda **given: looks.append(1) or get_client(**given))
    join = people.in_thread(lambda: asks(ports))
    people.wait_for(lambda: len(looks) > 1)  # it has found the server again, and its run as it was
    waiting = people.open_question(ports)
    people.wait_for(lambda: has_form(waiting))
    with pytest.raises(Exception, match="octal"):
        resume_flow_run(waiting.flow_run, run_input={"answer": "octal"})
    resume_flow_run(waiting.flow_run, run_input={"answer": "hex"})
    assert join().answer == "hex"


def has_form(escalation):
    with get_client(sync_client=True) as client:
        return client.filter_flow_run_input(escalation.flow_run, f"paused-{escalation.id}-0-schema", 1, set())


def test_what_the_server_refuses_is_no_absence(tmp_path, monkeypatch):
    monkeypatch.setattr(pausing, "pause_flow_run", Absent(answered(422)))
    with pytest.raises(PrefectHTTPStatusError):
        asks(people.project_ports(tmp_path))
