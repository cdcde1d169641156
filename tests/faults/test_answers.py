"""Of double, late, stale, contradicting and concurrent answers exactly one counts, and the others are told so."""

import itertools
import random
import threading

import pytest
from storyloom.blocks.shelf import FileShelf
from storyloom.domain.approvals import Given
from storyloom.domain.errors import NotApproved
from storyloom.domain.escalations import Answer, Escalation, Kind, Question
from storyloom.domain.ports import ProjectRef
from storyloom.domain.settings import ProjectConfig
from storyloom.tasks.answers import cancel, submit, time_is_up
from storyloom.tasks.decide import decide, decision_name, decisions, reverse
from storyloom.tasks.facts import facts, remove_fact
from storyloom.tasks.ports import Ports
from storyloom.tasks.questions import keep_answer, kept_answer, mirror, mirrored, supersede

ASKED = Question(project="p", story="1-2-x", step="turn 3", question="Which?", options=("a", "b"), recommendation="a")
GATE = Question(
    kind=Kind.PHASE_GATE, project="p", workflow="planning", step="gate", question="Pass?",
    options=("approve", "reject"), subject="d1",
)  # fmt: skip
PEOPLE = [{"name": name, "role": "approver"} for name in ("anna", "axel", "alma")]


class Recorded:
    def __init__(self):
        self.events = []

    def record(self, event):
        self.events.append(event)


def ports_at(folder, **config):
    """Ports of another process, so to say: only the disk is shared."""
    return Ports(
        ProjectRef(repository="/p"), ProjectConfig.model_validate(config), shelf=FileShelf(folder), recorder=Recorded()
    )


def ask(folder, question=ASKED, **config):
    ports = ports_at(folder, **config)
    default = "" if question.kind is Kind.PHASE_GATE else question.recommendation
    mirror(ports, Escalation(id=question.id, question=question, severity="normal", created="2026", default=default))
    return ports


@pytest.mark.parametrize("seed", range(100))
def test_of_answers_that_come_at_once_one_holds_and_every_other_one_is_refused(tmp_path, seed):
    ask(tmp_path)
    rng, start, rulings = random.Random(seed), threading.Barrier(6), []
    texts = rng.choices(["a", "b", "c", ""], k=4)

    def answer(text, by):
        ports = ports_at(tmp_path)
        start.wait()
        rulings.append((text, submit(ports, ASKED.id, Given(answer=text, by=by))))

    def deadline():
        ports = ports_at(tmp_path)
        start.wait()
        time_is_up(ports, ASKED.id)

    threads = [threading.Thread(target=answer, args=(text, f"p{i}")) for i, text in enumerate(texts)]
    threads += [threading.Thread(target=deadline), threading.Thread(target=answer, args=("a", "again"))]
    rng.shuffle(threads)
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    after = ports_at(tmp_path)
    holds = kept_answer(after, ASKED)
    won = [text for text, ruling in rulings if ruling.verdict == "holds"]
    assert won == ([] if holds.source == "policy" else [holds.answer])
    assert all(ruling.reason for _, ruling in rulings if ruling.verdict == "refused")
    assert mirrored(after, ASKED.id).response == holds
    late = submit(after, ASKED.id, Given(answer="b", by="late"))
    assert (late.verdict, kept_answer(after, ASKED)) == ("refused", holds)
    assert "answered already" in late.reason
    assert [fact.answer for fact in facts(after)] == ([holds.answer] if holds.source == "person" else [])


@pytest.mark.parametrize("order", list(itertools.permutations(["anna", "axel", "alma"])))
def test_approvals_that_come_at_once_count_each_person_once_and_the_gate_passes_once(tmp_path, order):
    ask(tmp_path, GATE, people=PEOPLE, gates={"approvals": 2})
    start, rulings = threading.Barrier(len(order) * 2), []

    def approve(by):
        ports = ports_at(tmp_path, people=PEOPLE, gates={"approvals": 2})
        start.wait()
        rulings.append(submit(ports, GATE.id, Given(answer="approve", by=by, digest="d1")))

    threads = [threading.Thread(target=approve, args=(name,)) for name in order * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    holds = kept_answer(ports_at(tmp_path), GATE)
    assert len(set(holds.by.split(", "))) >= 2
    assert sum(ruling.verdict == "holds" for ruling in rulings) == 1


def test_an_approval_of_what_has_changed_since_is_refused_and_the_new_question_is_another_one(tmp_path):
    ports = ask(tmp_path, GATE)
    newer = GATE.model_copy(update={"subject": "d2"})
    supersede(ports, newer)
    ask(tmp_path, newer)
    assert newer.id != GATE.id
    assert "newer question" in submit(ports, GATE.id, Given(answer="approve")).reason
    assert "changed since you looked" in submit(ports, newer.id, Given(answer="approve", digest="d1")).reason
    assert submit(ports, newer.id, Given(answer="approve", digest="d2")).verdict == "holds"
    assert kept_answer(ports, GATE) is None


@pytest.mark.parametrize("source", ["onboarding", "fact", "model", "policy"])
@pytest.mark.parametrize("kind", [Kind.PHASE_GATE, Kind.BUDGET, Kind.RISK])
def test_nothing_but_a_person_lets_a_gate_pass(tmp_path, source, kind):
    ports = ask(tmp_path, GATE.model_copy(update={"kind": kind}))
    with pytest.raises(NotApproved):
        keep_answer(ports, GATE.model_copy(update={"kind": kind}), Answer(answer="approve", source=source))
    assert ports.shelf.names("answers/") == []


def test_a_deadline_expires_a_gate_sets_other_work_aside_and_changes_nothing_that_is_closed(tmp_path):
    for question, status in ((GATE, "expired"), (ASKED.model_copy(update={"recommendation": ""}), "set_aside")):
        ports = ask(tmp_path, question)
        time_is_up(ports, question.id)
        assert mirrored(ports, question.id).status == status
    time_is_up(ports, "nothing")
    assert "expired" in submit(ports, GATE.id, Given(answer="approve")).reason
    assert submit(ports, ASKED.id, Given(answer="b")).verdict == "holds"
    time_is_up(ports, ASKED.id)
    assert cancel(ports, ASKED.id, "owner") == "The question is answered already."
    assert "no question" in cancel(ports, "nothing", "owner")
    assert "no question" in submit(ports, "nothing", Given(answer="a")).reason


def test_a_decision_is_kept_with_its_reasons_and_can_be_reversed_and_a_fact_removed(tmp_path):
    ports = ask(tmp_path)
    sure = ASKED.model_copy(update={"confidence": 0.9})
    made = decide(ports, sure)
    keep_answer(ports, sure, made.answer)
    assert (made.answer.source, made.answer.answer) == ("model", "a")
    changed = reverse(ports, made, Answer(answer="b", source="person", by="owner"))
    assert kept_answer(ports, sure).answer == "b"
    assert [old.answer for old in changed.replaced] == ["a"]
    assert [d.answer.answer for d in decisions(ports)] == ["b"]
    ports.shelf.put(decision_name("broken"), "{")
    assert len(decisions(ports)) == 1
    other = ASKED.model_copy(update={"story": "1-9-z"})
    ask(tmp_path, other)
    submit(ports, other.id, Given(answer="b", by="anna"))
    fact = facts(ports)[0]
    assert decide(ports, ASKED.model_copy(update={"story": "2-1-q"})).answer.source == "fact"
    assert remove_fact(ports, fact.id)
    assert not remove_fact(ports, fact.id)
    assert decide(ports, ASKED.model_copy(update={"story": "2-1-q"})).answer is None
