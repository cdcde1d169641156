"""What happens in one turn of a developer: the model is asked, its calls are applied, the worktree is committed.

A turn's result holds the messages and the commit, so the worktree is a pure function of the chain of results: a resumed
run finds finished turns in the cache, resets the worktree to the last checkpoint and goes on.
"""

from __future__ import annotations

from datetime import timedelta
from time import monotonic
from typing import Any

from prefect import task
from prefect.context import TaskRunContext

from ..domain.agent_tools import TOOLS, Ask, ToolOutcome
from ..domain.errors import UnsafePath
from ..domain.model_calls import Message, ModelReply, ModelRequest, Value
from ..domain.ports import Limits, ProjectRef
from ..domain.stories import Story
from .agent_tools import Bench, apply_tools
from .caps import model_for
from .ports import Ports, ports_for
from .recording import event_key, tags_for
from .retries import may_pass
from .verification import changed_paths

VERSION = "1"
MAX_OUTPUT_TOKENS = 16_000


class Turn(Value):
    """What one turn came to: the model's reply, what its calls came to, in order, and the worktree's commit.

    `wall_s` is how long it took as a whole, 0 in a turn of before that was kept.
    """

    number: int
    reply: ModelReply
    outcomes: tuple[ToolOutcome, ...] = ()
    commit: str
    wall_s: float = 0.0

    @property
    def duration_s(self) -> float:
        """How long the turn took, as far as it is known."""
        return max(self.wall_s, self.reply.latency_s)

    @property
    def question(self) -> tuple[ToolOutcome, Ask] | None:
        """The question that waits for an answer, with the call that asked it."""
        return next(((o, o.question) for o in self.outcomes if o.question is not None), None)

    def answered(self, answer: str, source: str) -> tuple[ToolOutcome, ...]:
        """The outcomes with the answer in the place of the question that was asked, and of no other."""
        asked = self.question[0] if self.question is not None else None
        return tuple(o.answered(answer, source) if o is asked else o for o in self.outcomes)


def turn_key(context: TaskRunContext, parameters: dict[str, Any]) -> str:  # noqa: ARG001 - Prefect's signature
    """The cache key of a turn: everything that its outcome follows from."""
    story: Story = parameters["story"]
    messages = [message.model_dump_json(exclude={"cache"}) for message in parameters["messages"]]
    place = (parameters["project"].repository, story.key, parameters["persona"], parameters["number"])
    return f"turn-{event_key(VERSION, *place, parameters['commit'], parameters['system'], *messages)}"


@task(
    name="turn",
    task_run_name="{persona} · story {story.id} · turn {number}",
    cache_key_fn=turn_key,
    cache_expiration=timedelta(days=90),
    persist_result=True,
    retries=4,
    retry_delay_seconds=[2, 10, 60, 300],
    retry_condition_fn=may_pass,
)
def develop_turn(
    project: ProjectRef,
    story: Story,
    persona: str,
    system: str,
    messages: tuple[Message, ...],
    commit: str,
    number: int,
    since: str = "",
    attempt: int = 1,
) -> Turn:
    """One turn of a story's developer, starting from the worktree at `commit`; the story began at `since`.

    `attempt` is for the record only.
    """
    ports = ports_for(project)
    began = monotonic()
    reply = ports.models.complete(_request(ports, story, persona, system, messages, number, attempt))
    replied = monotonic()
    asked_s = max(replied - began, reply.latency_s)  # a recorded call is answered at once
    worktree = ports.workspace.path(story.key)
    ports.workspace.reset(worktree, commit)
    bench = Bench(
        files=ports.files(worktree, planned=story.files),
        sandbox=ports.sandbox,
        worktree=worktree,
        commands=ports.config.commands,
        limits=Limits(wall_s=ports.config.settings.command_wall_s),
        stories_folder=ports.config.settings.stories_folder,
        planned=story.files,
        changed=lambda: changed_paths(ports, worktree, since),
    )
    outcomes = apply_tools(reply.tool_calls, bench)
    try:
        after = ports.workspace.checkpoint(worktree, f"{story.id}: turn {number}")
    except UnsafePath as error:  # what was made cannot be committed: who made it can do without
        ports.workspace.reset(worktree, commit)
        after, outcomes = commit, taken_back(outcomes, str(error))
    took = asked_s + monotonic() - replied
    return Turn(number=number, reply=reply, outcomes=outcomes, commit=after, wall_s=round(took, 3))


def taken_back(outcomes: tuple[ToolOutcome, ...], why: str) -> tuple[ToolOutcome, ...]:
    """The outcomes of a turn whose changes were undone: nothing of it holds, and each call is told why."""
    told = f"Nothing was changed: the whole turn was taken back. {why}"
    undone = {"ok": False, "changed": False, "content": told, "tests": None, "question": None, "finish": None}
    return tuple(outcome.model_copy(update=undone) for outcome in outcomes)


def _request(
    ports: Ports, story: Story, persona: str, system: str, messages: tuple[Message, ...], number: int, attempt: int
) -> ModelRequest:
    return ModelRequest(
        purpose="work",
        persona=persona,
        model=model_for(ports, story.key, model_of(ports, persona)),
        system=system,
        messages=messages,
        tools=TOOLS,
        max_output_tokens=MAX_OUTPUT_TOKENS,
        tags=tags_for(
            ports,
            phase="implementation",
            epic=story.epic,
            story=story.key,
            agent=persona,
            attempt=attempt,
            turn=number,
            step="develop",
        ),
    )


def model_of(ports: Ports, persona: str) -> str:
    """The model, or class of models, that the project gives a persona; the models of a list are tried in its order."""
    choice = ports.config.agents.get(persona, "standard")
    return choice if isinstance(choice, str) else "standard"  # the door finds the list by the persona
