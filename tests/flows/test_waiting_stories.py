"""Of eight stories three wait for a person: five merge, and the three once they are answered, in any order."""

import importlib.util
from pathlib import Path

import pytest
from prefect.task_runners import ThreadPoolTaskRunner
from storyloom.domain.approvals import Given
from storyloom.domain.epics import read_epics
from storyloom.domain.model_calls import ModelReply
from storyloom.tasks.answers import submit
from storyloom.tasks.ports import use
from storyloom.tasks.questions import escalations

pytestmark = [pytest.mark.server, pytest.mark.slow, pytest.mark.whole, pytest.mark.usefixtures("prefect_harness")]

_spec = importlib.util.spec_from_file_location("people", Path(__file__).with_name("people.py"))
people = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(people)

EPICS = people.epics(*(people.planned(n, f"`part{n}.py`") for n in range(1, 9)))
STORIES = read_epics(EPICS["docs/epics.md"], "epics.md").stories
ASKING = {"1-2-part", "1-5-part", "1-7-part"}


def model(request):
    """Asks in three stories, writes a file in all of them, and approves."""
    if request.purpose == "review":
        return people.approving()
    if request.purpose == "decide":
        unsure = {"clarity": 0.5, "sufficiency": 0.2, "certainty": 0.2}
        return ModelReply(parsed={"answer": "red", "quote": "", "reasoning": "", **unsure})
    key = request.tags.story
    answers = [m.content for m in request.messages if m.role == "tool" and "Answer (" in m.content]
    if key in ASKING and not answers:
        options = ["red", "blue"]
        asked = {"question": f"Which colour for {key}?", "options": options, "recommendation": "red", "confidence": 0.3}
        return people.calling(("ask", asked))
    text = f"COLOUR = {'blue' if any('blue' in a for a in answers) else 'red'!r}\n"
    return people.writing(f"part{key.split('-')[1]}.py", text)


@pytest.fixture
def ports(tmp_path):
    settings = {"when_asked": "set_aside", "max_concurrent_agents": 4}
    return people.committed_ports(tmp_path, EPICS, model, config={"settings": settings})


def run(ports, done=()):
    from storyloom.flows.implementation import batch

    flow = batch.with_options(task_runner=ThreadPoolTaskRunner(max_workers=4))
    with use(lambda _project: ports):
        return flow(ports.project, list(done), 4)


def test_five_merge_and_three_wait_and_end_after_their_answers_whatever_the_order(ports):
    first = run(ports)
    ends = {key: (end.status, end.reason) for key, end in first.items()}
    assert {key for key, (status, _) in ends.items() if status == "waiting"} == ASKING, ends
    merged = {key for key, (status, _) in ends.items() if status == "merged"}
    assert merged == {story.key for story in STORIES} - ASKING, ends
    asked = sorted((e for e in escalations(ports) if e.status == "set_aside"), key=lambda e: e.id, reverse=True)
    assert [e.question.story for e in asked] == ["1-7-part", "1-5-part", "1-2-part"]
    calls = len(ports.models.asked)
    for number, one in enumerate(asked):
        assert submit(ports, one.id, Given(answer="blue")).verdict == "holds"
        again = run(ports, merged)
        assert again[one.question.story].status == "merged", again[one.question.story]
        merged.add(one.question.story)
        assert sum(end.status == "waiting" for end in again.values()) == 2 - number
    assert len(merged) == 8
    workspace = ports.workspace
    texts = {n: workspace.read(workspace.tip(), f"part{n}.py") for n in range(1, 9)}
    assert {n for n, text in texts.items() if text == "COLOUR = 'blue'\n"} == {2, 5, 7}
    assert {n for n, text in texts.items() if text == "COLOUR = 'red'\n"} == {1, 3, 4, 6, 8}
    later = [request.purpose for request in ports.models.asked[calls:]]
    assert sum(purpose != "decide" for purpose in later) == 6  # a turn and a review for each of the three, no more
    assert later.count("decide") == 3  # what a person said meanwhile might have answered the questions still open
