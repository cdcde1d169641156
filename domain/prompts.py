"""What is a model asked while a workflow runs?

A request has a stable beginning (persona, rules, input documents: the system prompt) and a changing end. The first line
of the system prompt is `You are {Name}, {title}.`, the first line of the first message `# {subject}`; recorded
conversations are found by these two.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, cast

from pydantic import JsonValue

from .developer_prompts import DATA_RULE
from .drafts import title
from .model_calls import CallTags, Message, ModelRequest
from .run_state import RunState, Told

CHARACTERS_PER_TOKEN = 4
WORTH_CACHING = 6_000  # characters of a system prompt, above every provider's least prefix
SECTION_TOKENS, REPORT_TOKENS, SKILL_TOKENS = 16_000, 16_000, 32_000
MAX_SHOWN = 2_000  # characters of one remark or answer in a prompt


@dataclass(frozen=True)
class Persona:
    """Who speaks. `principles` are sentences."""

    id: str
    name: str
    title: str
    role: str = ""
    identity: str = ""
    communication_style: str = ""
    principles: tuple[str, ...] = ()


PERSONAS: dict[str, Persona] = {
    persona.id: persona
    for persona in (
        Persona("mary", "Mary", "Business Analyst"),
        Persona("john", "John", "Product Manager"),
        Persona("winston", "Winston", "Architect"),
        Persona("sally", "Sally", "UX Designer"),
        Persona("bob", "Bob", "Scrum Master"),
        Persona("amelia", "Amelia", "Developer"),
        Persona("murat", "Murat", "Test Architect"),
        Persona("paige", "Paige", "Technical Writer"),
    )
}
ROLES = {
    "analyst": "mary", "pm": "john", "architect": "winston", "ux-designer": "sally", "ux-expert": "sally", "sm": "bob",
    "dev": "amelia", "developer": "amelia", "tea": "murat", "qa": "murat", "tech-writer": "paige", "po": "john",
}  # fmt: skip
BY_WORD = {
    "prd": "john", "brief": "mary", "research": "mary", "brainstorm": "mary", "architect": "winston", "spec": "winston",
    "ux": "sally", "epic": "bob", "stor": "bob", "sprint": "bob", "retro": "bob", "course": "bob", "dev": "amelia",
    "build": "amelia", "code": "amelia", "quick": "amelia", "test": "murat", "nfr": "murat", "trace": "murat",
    "document": "paige",
}  # fmt: skip  # who speaks in a workflow that names nobody, by a word of its name
DEFAULT_PERSONA = "john"
EXPERT = Persona(
    "expert",
    "Alex",
    "Product Owner",
    "Stands in for the person who wants this product, while nobody is there to ask.",
    "Knows the project only from its documents and answers as its owner would.",
    "Short and definite.",
    (
        "What the documents say is the answer; quote it.",
        "Where they say nothing, choose the simplest thing that serves the stated goal, and say that it was assumed.",
        "Asked to choose an option, answer with its number or letter and nothing else.",
    ),
)


@dataclass(frozen=True)
class Source:
    """A document given as context."""

    path: str
    text: str


@dataclass(frozen=True)
class Setting:
    """What all requests of a run share. `documents` stay the same over the run and come first."""

    workflow: str
    description: str
    persona: Persona
    rules: tuple[str, ...] = ()
    documents: tuple[Source, ...] = ()
    language: str = ""
    project: str = ""
    project_level: int | None = None
    max_context_tokens: int = 60_000
    tags: CallTags = field(default_factory=CallTags)


MARKS = (
    "Nobody can be asked now. Decide what can be decided; mark every assumption where it stands as "
    "`[ASSUMPTION: …]` and what must stay open as `[OPEN: …]`. Never invent facts about the outside world."
)
UNATTENDED = (
    "What follows was written for a conversation, but it runs headless: nobody greets, waits or answers. Every menu "
    "is answered with Continue; elicitation and party mode are left out; where a user would be asked, decide as an "
    "expert who wants this product would, from the documents, and record it under `assumptions`. Loading files, "
    "running scripts, committing and keeping `stepsCompleted` are done by the engine. Do only this step, and give the "
    "text that it would save to the document in `document`."
)
STRINGS: dict[str, JsonValue] = {"type": "array", "items": {"type": "string"}}


def _object(**properties: JsonValue) -> dict[str, JsonValue]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def _list(item: JsonValue) -> dict[str, JsonValue]:
    return {"type": "array", "items": item}


VERDICT = _object(holds={"type": "boolean"}, reason={"type": "string"})
ANSWER = _object(
    answer={"type": "string"},
    confidence={"type": "number"},
    reason={"type": "string"},
    quote={"type": "string", "description": "The words of a document that give the answer, empty if none do"},
)
REPORT = _object(
    report={"type": "string", "description": "What was done and found, in a few sentences"},
    document={"type": "string", "description": "Markdown to add to the workflow's document, empty if nothing"},
    variables=_list(_object(name={"type": "string"}, value={"type": "string"})),
    files=_list(_object(path={"type": "string"}, text={"type": "string"})),
    assumptions=STRINGS,
    open_questions=STRINGS,
    stop={"type": "string", "description": "Why the workflow cannot go on, empty if it can"},
)
HEADLESS = _object(
    status={"type": "string", "enum": ["complete", "partial", "blocked"]},
    intent={"type": "string", "enum": ["create", "update", "validate"]},
    **cast(dict[str, JsonValue], REPORT["properties"]),
)
CHECKS = _object(
    items=_list(
        _object(
            item={"type": "string"},
            verdict={"type": "string", "enum": ["PASS", "PARTIAL", "FAIL", "N/A"]},
            evidence={"type": "string"},
        )
    )
)


def section_request(
    setting: Setting, state: RunState, section: str, step: str, path: str, document: str
) -> ModelRequest:
    """Ask for the text of one section."""
    parts = [
        f"Write the section “{title(section)}” of `{path or setting.workflow}`. It belongs to {step}.",
        _work(state.told),
        _so_far(state),
        _document("The document so far", document),
        "Answer with the text of this section only, in Markdown, without repeating its heading and without remarks "
        "about your work. " + MARKS,
    ]
    subject = f"{setting.workflow} · {section}"
    return _request(setting, subject, parts, "work", "standard", max_output_tokens=SECTION_TOKENS)


def go_on(request: ModelRequest, so_far: str) -> ModelRequest:
    """Ask for the rest of a text that ended at its limit."""
    more = "That was cut off. Go on exactly where it stopped, without repeating anything and without a remark."
    messages = (*request.messages, Message(role="assistant", content=so_far), Message(role="user", content=more))
    return request.model_copy(update={"messages": messages})


def judge_request(setting: Setting, state: RunState, condition: str, step: str) -> ModelRequest:
    """Ask whether a condition holds."""
    parts = [
        f"In {step} the workflow goes one way if this holds, another if not:\n\n> {condition}",
        _work(state.told),
        _so_far(state),
        "Say whether it holds, from what is known here alone. If nothing here shows that it does, it does not hold.",
    ]
    return _request(
        setting, f"{setting.workflow} · condition · {_line(condition)}", parts, "judge", "light", "verdict", VERDICT
    )


def question_request(
    setting: Setting, state: RunState, question: str, step: str, sources: Sequence[Source]
) -> ModelRequest:
    """Ask the simulated expert a question of the workflow; `sources` are the project's onboarding documents."""
    parts = [
        f"{setting.persona.name} ({setting.persona.title}) asks in {step}:\n\n{_quoted(question)}",
        *(_document(source.path, source.text) for source in sources),
        _work(state.told),
        _so_far(state),
        "Answer in a sentence or two, or with the number or letter of the option you choose. `quote` holds the exact "
        "words of a document that give the answer, if any do; `confidence` is between 0 and 1.",
    ]
    expert = Setting(**{**setting.__dict__, "persona": EXPERT, "rules": ()})
    subject = f"{setting.workflow} · question · {_line(question)[:80].rstrip()}"
    return _request(expert, subject, parts, "decide", "light", "answer", ANSWER)


def work_request(
    setting: Setting,
    state: RunState,
    number: str,
    step: str,
    document: str,
    folders: str,
    *,
    unattended: bool = False,
    attached: Sequence[Source] = (),
    skill: bool = False,
) -> ModelRequest:
    """Ask for the actions of a step that no section took up.

    `unattended` steps are written for a conversation; `attached` are texts that the step refers to; a `skill` is one
    step that ends with upstream's headless result.
    """
    parts = [
        f"Do what {step} asks, and report.",
        UNATTENDED if unattended else "",
        *(_document(source.path, source.text) for source in fitting(attached, setting.max_context_tokens // 2)),
        _work(state.told),
        _so_far(state),
        _document("The document so far", document),
        f"You cannot run commands. Files you want written go into `files`, whole, with paths below {folders}; facts "
        "that later steps need go into `variables`; text for the workflow's own document goes into `document`. "
        "If the step cannot be done at all, say why in `stop`. " + MARKS,
    ]
    subject = f"{setting.workflow} · step {number}"
    if skill:
        return _request(setting, subject, parts, "work", "heavy", "headless", HEADLESS, max_output_tokens=SKILL_TOKENS)
    return _request(setting, subject, parts, "work", "standard", "report", REPORT, REPORT_TOKENS)


def leftovers_request(setting: Setting, state: RunState, names: Sequence[str], document: str) -> ModelRequest:
    """Ask for the values of placeholders that no step wrote, all at once."""
    wanted: dict[str, JsonValue] = {name: {"type": "string"} for name in names}
    schema = _object(**wanted)
    parts = [
        "These placeholders of the document are still open: " + ", ".join(f"`{name}`" for name in names) + ".",
        _so_far(state),
        _document("The document", document),
        "Give the text for each, consistent with what the document says already. " + MARKS,
    ]
    return _request(setting, f"{setting.workflow} · remaining sections", parts, "work", "standard", "remaining", schema)


def checklist_request(setting: Setting, checklist: str, documents: Sequence[Source]) -> ModelRequest:
    """Ask for a verdict on every item of the checklist."""
    parts = [
        "Go through this checklist, item by item, with evidence from the documents.",
        _document("Checklist", checklist),
        *(_document(source.path, source.text) for source in documents),
        "FAIL and PARTIAL name what is missing; N/A is for items about something this project does not have.",
    ]
    return _request(setting, f"{setting.workflow} · checklist", parts, "judge", "standard", "checks", CHECKS)


def _request(
    setting: Setting,
    subject: str,
    parts: Iterable[str],
    purpose: Literal["work", "judge", "decide"],
    model: str,
    schema_name: str = "",
    schema: dict[str, JsonValue] | None = None,
    max_output_tokens: int = 8192,
) -> ModelRequest:
    text = "\n\n".join([f"# {subject}", *(part for part in parts if part)])
    system = _system(setting)
    return ModelRequest(
        purpose=purpose,
        persona=setting.persona.id,
        model=model,
        system=system,
        cache_system=len(system) > WORTH_CACHING,
        messages=(Message(role="user", content=text),),
        schema_name=schema_name,
        schema_=schema,
        max_output_tokens=max_output_tokens,
        tags=setting.tags.model_copy(update={"agent": setting.persona.id}),
    )


def _system(setting: Setting) -> str:
    who = setting.persona
    about = [who.role, who.identity, f"How you write: {who.communication_style}" if who.communication_style else ""]
    project = f"the project {setting.project}" if setting.project else "a project"
    level = f" of level {setting.project_level}" if setting.project_level is not None else ""
    parts = [
        f"You are {who.name}, {who.title}.",
        "\n".join(line for line in about if line),
        _bullets("Your principles", who.principles),
        f"You work on {project}{level}, in the workflow “{setting.workflow}”: {setting.description}".rstrip(": "),
        _bullets("Rules of this workflow", setting.rules),
        f"Write in {setting.language}." if setting.language else "",
        DATA_RULE,
        *(_document(source.path, source.text) for source in fitting(setting.documents, setting.max_context_tokens)),
    ]
    return "\n\n".join(part for part in parts if part)


def fitting(sources: Sequence[Source], tokens: int) -> tuple[Source, ...]:
    """The sources, the longest ones cut so that all of them together fit; a cut says so."""
    room = tokens * CHARACTERS_PER_TOKEN
    if sum(len(source.text) for source in sources) <= room:
        return tuple(sources)
    share, left = 0, room
    for count, length in zip(range(len(sources), 0, -1), sorted(len(s.text) for s in sources), strict=True):
        share = left // count
        if length > share:
            break
        left -= length
    return tuple(
        source
        if len(source.text) <= share
        else Source(source.path, source.text[:share] + f"\n[… {len(source.text) - share} more characters]")
        for source in sources
    )


def _work(told: Sequence[Told]) -> str:
    """The step's actions, guidance, rules and answers, each under its heading."""
    by_kind: Mapping[str, list[str]] = {kind: [] for kind in ("action", "rule", "guidance", "answer", "shown")}
    for item in told:
        text = f"{item.text} → {item.answer}" if item.kind == "answer" else item.text
        if text.strip() and text not in by_kind[item.kind]:
            by_kind[item.kind].append(text[:MAX_SHOWN] if item.kind in {"answer", "shown"} else text)
    return "\n\n".join(
        part
        for part in (
            _bullets("## What to do", by_kind["action"]),
            _bullets("## Rules of this step", by_kind["rule"]),
            "## Guidance\n\n" + "\n\n".join(by_kind["guidance"]) if by_kind["guidance"] else "",
            _bullets("## Answers", by_kind["answer"]),
            _bullets("## Shown to the user", by_kind["shown"]),
        )
        if part
    )


def _so_far(state: RunState) -> str:
    lines = [f"{t.text} → {t.answer}" if t.kind == "answer" else t.text for t in state.history]
    return _bullets("## Known from earlier steps", [line[:MAX_SHOWN] for line in lines])


def _bullets(heading: str, lines: Sequence[str]) -> str:
    separator = "\n\n" if heading.startswith("#") else ":\n"
    return heading + separator + "\n".join(f"- {line}" for line in lines) if lines else ""


def _document(name: str, text: str) -> str:
    return f'<document name="{name}">\n{text.strip()}\n</document>' if text.strip() else ""


def _quoted(text: str) -> str:
    return "\n".join(f"> {line}".rstrip() for line in text.strip().splitlines())


def _line(text: str) -> str:
    return " ".join(text.split())
