"""Who is told, and when again."""

from datetime import datetime, timedelta

import pytest
from storyloom.domain.escalations import Escalation, Question
from storyloom.domain.notices import due, ends_at, next_moment, notice
from storyloom.domain.settings import Notify, Person

START = datetime.fromisoformat("2026-01-01T08:00:00+00:00")
ASKED = Escalation(
    id="q-1",
    question=Question(project="p", question="Which <b>alphabet</b>?\nNow", options=("a", "b"), recommendation="a"),
    severity="important",
    created=START.isoformat(),
    deadline=(START + timedelta(hours=20)).isoformat(),
    default="a",
    link="http://127.0.0.1:4200/runs/1",
)
PEOPLE = (Person(name="dora", notify=("dora",)), Person(name="olga", role="admin", notify=("olga",)),
          Person(name="vera", role="viewer", notify=("vera",)))  # fmt: skip
RULES = Notify(important=("team",), critical=("siren",), reminders=2)


@pytest.mark.parametrize(
    ("hours", "moment"),
    [(-1, None), (0, ("asked", 0)), (3.9, ("asked", 0)), (4, ("reminder", 1)), (8, ("reminder", 2)),
     (16, ("reminder", 2)), (20, ("overdue", 0)), (99, ("overdue", 0))],
)  # fmt: skip
def test_reminders_come_by_severity_stop_at_their_number_and_end_in_overdue(hours, moment):
    assert due(ASKED, RULES, START + timedelta(hours=hours)) == moment


def test_the_severitys_channels_and_those_who_may_answer_are_told_admins_only_once_overdue():
    assert notice(ASKED, "asked", 0, RULES, PEOPLE).channels == ("team", "dora")
    assert notice(ASKED, "overdue", 0, RULES, PEOPLE).channels == ("team", "dora", "olga")
    assert notice(ASKED, "asked", 0, RULES, PEOPLE[1:]).channels == ("team", "olga")


def test_the_message_says_what_is_asked_until_when_and_how_to_answer_on_plain_lines():
    message = notice(ASKED, "reminder", 1, RULES, ())
    assert message.title == "Still waiting: Which <b>alphabet</b>? Now"
    assert message.body.splitlines() == [
        "Which <b>alphabet</b>? Now",
        "Choices: a, b",
        "Would do: a (0%)",
        f"Until {ASKED.deadline}: then a",
        "Answer: storyloom escalations answer q-1",
        "http://127.0.0.1:4200/runs/1",
    ]
    assert message.key == f"q-1/{ASKED.created}/reminder-1"


def test_a_question_ends_at_its_deadline_or_later_where_a_next_person_is_told_of_it_then():
    deadline = START + timedelta(hours=20)
    assert ends_at(ASKED, RULES, ()) == deadline
    assert ends_at(ASKED, RULES, PEOPLE[1:]) == deadline  # only an admin: there is nobody next
    assert ends_at(ASKED, RULES, PEOPLE) == deadline + timedelta(hours=4)
    assert ends_at(ASKED.model_copy(update={"deadline": ""}), RULES, PEOPLE) is None


@pytest.mark.parametrize(("hours", "next_at"), [(0, 4), (4, 8), (8, 20), (19.5, 20), (20, 24), (24, None), (999, None)])
def test_the_next_moment_is_a_reminder_the_deadline_or_the_end(hours, next_at):
    found = next_moment(ASKED, RULES, PEOPLE, START + timedelta(hours=hours))
    assert found == (None if next_at is None else START + timedelta(hours=next_at))


def test_without_reminders_and_a_deadline_there_is_no_next_moment():
    quiet = ASKED.model_copy(update={"deadline": ""})
    assert next_moment(quiet, Notify(reminders=0), PEOPLE, START) is None
