"""What may be done when a budget is used up, and what does an answer to that change?"""

from __future__ import annotations

import hashlib
import re
from decimal import ROUND_CEILING, Decimal

from .budget import Cap, Scope
from .errors import BudgetExceeded
from .escalations import Kind, Question

CHEAPER, STOP = "a cheaper model", "stop"
RAISES = (2, 5)  # times the cap, or what the next call needs if that is more
_DOLLARS = re.compile(r"raise it to \$([\d,]+\.\d\d)")
_TOKENS = re.compile(r"raise it to ([\d,]+) tokens")


def cap_question(
    error: BudgetExceeded, *, project: str, workflow: str, story: str = "", cheaper: bool = False
) -> Question:
    """How to go on once a cap is reached; `cheaper` says that the cheaper model is in use already.

    One question for all that shares the scope: only a story's own budget is asked for by story. At another cap, or
    when the cheaper model was not enough, it is another question.
    """
    scope = Scope.named(error.scope)
    own = scope.kind == "story"
    choices = [*(f"raise it to {_said(error, times)}" for times in RAISES), *([] if cheaper else [CHEAPER]), STOP]
    state = f"{error.scope}|{error.unit}|{Decimal(error.cap).normalize()}|{cheaper}"
    return Question(
        kind=Kind.BUDGET,
        project=project,
        workflow=workflow if own else "",
        step=f"budget of the {scope.kind}{', cheaper model' if cheaper else ''}",
        story=story if own else "",
        question=f"The budget of {scope} is used up. How shall the work go on?",
        context=error.message,
        options=tuple(choices),
        subject=hashlib.sha256(state.encode()).hexdigest()[:16],
    )


def raised(answer: str, cap: Cap) -> Cap | None:
    """The cap that an answer asks for, never less than the one that holds; None when it asks for something else."""
    if found := _DOLLARS.fullmatch(answer):
        usd = Decimal(found[1].replace(",", ""))
        return cap.model_copy(update={"usd": usd if cap.usd is None else max(usd, cap.usd)})
    if found := _TOKENS.fullmatch(answer):
        tokens = int(found[1].replace(",", ""))
        return cap.model_copy(update={"tokens": tokens if cap.tokens is None else max(tokens, cap.tokens)})
    return None


def _said(error: BudgetExceeded, times: int) -> str:
    """An amount that the next call fits in, rounded up to cents or whole tokens."""
    amount = max(Decimal(error.cap), Decimal(error.spent) + Decimal(error.asked)) * times
    if error.unit == "tokens":
        return f"{int(amount.to_integral_value(ROUND_CEILING)):,} tokens"
    return f"${amount.quantize(Decimal('0.01'), ROUND_CEILING):,f}"
