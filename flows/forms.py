"""Which form does a person fill in to answer a question?

What the form itself can check is in its JSON schema, and Prefect refuses input that breaks it while the run stays
paused. Rules that only Python knows are checked after the run has gone on, and asked again.
"""

from __future__ import annotations

from typing import Any, Literal, cast

from prefect.input import RunInput
from pydantic import Field, create_model

from ..domain.escalations import Escalation, inert_line, markdown

WOKEN = "(woken: the answer came another way)"
"""The note of a form that nobody filled in: the run is only told to look at the shelf."""

NOBODY = "-"


def form(escalation: Escalation, complaint: str = "") -> type[RunInput]:
    """The form: a choice with the recommendation preselected or free text, room for notes, and who answers."""
    question = escalation.question
    fields: dict[str, Any] = {}
    if question.options:
        choice: Any = Literal.__getitem__(question.options)
        default = question.recommendation if question.recommendation in question.options else ...
        fields["answer"] = (choice, Field(default=default, title="Answer", description="Choose one"))
    else:
        text = question.recommendation or ...
        fields["answer"] = (str, Field(default=text, title="Answer", min_length=1, max_length=4000))
    if escalation.audience:
        names: Any = Literal.__getitem__(escalation.audience)
        fields["by"] = (names, Field(default=..., title="Your name", description="For the record"))
    fields["notes"] = (str, Field(default="", title="Notes", description="For the record; optional", max_length=4000))
    model = cast(type[RunInput], create_model("Answer", __base__=RunInput, **fields))
    text = markdown(escalation)
    return model.with_initial_data(description=f"**{inert_line(complaint)}**\n\n{text}" if complaint else text)


def wake_up(escalation: Escalation) -> dict[str, str]:
    """Input that any form of the question takes, and that answers nothing."""
    question = escalation.question
    given = {"answer": question.options[0] if question.options else NOBODY, "notes": WOKEN}
    if escalation.audience:
        given["by"] = escalation.audience[0]
    return given
