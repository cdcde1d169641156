"""How is each thing done that a run of a workflow needs from outside?

`Machine` asks models and reads and writes documents through the ports; what comes next and what an outcome means is
decided in the domain. It knows nothing of Prefect.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import JsonValue

from ..domain import asking, drafts, needs, outcomes, prompts
from ..domain.discovery import PLANNING, discover
from ..domain.errors import ModelBadOutput, ModelTruncated
from ..domain.model_calls import CallTags, ModelReply, ModelRequest, Value
from ..domain.needs import World
from ..domain.program import Program, step_name
from ..domain.run_state import Asked, Assumption, RunState, Told
from ..domain.sequencer import advance
from ..domain.templates import fill_names
from ..domain.workflow_plan import REMAINING_AT_ONCE
from .caps import model_for
from .ports import Ports
from .workflow_desk import OWN, Desk

MOST_PARTS = 4
"""Answers that one section may take when each ends at its limit."""


class RunOptions(Value):
    """How a run treats what usually a person does.

    `asking`: "simulate" an expert, ask a person when the expert is "unsure", or always ask a "person"; "" leaves it to
    the project's settings.
    """

    asking: Literal["", "simulate", "unsure", "person"] = ""
    optional_steps: bool = True
    validate_document: bool = True
    max_step_visits: int = needs.MAX_STEP_VISITS


@dataclass
class Machine:
    """Takes a run through one step."""

    ports: Ports
    program: Program
    persona: prompts.Persona
    options: RunOptions
    tags: CallTags = field(default_factory=CallTags)

    @property
    def desk(self) -> Desk:
        """Where the run's documents stand."""
        return Desk(self.ports, self.program)

    def run_step(self, state: RunState) -> RunState:
        """The state when control leaves the step in which it stands, or the run waits, calls or ends."""
        step = self.program.step_at(state.at)
        while True:
            state, need = advance(self.program, state, self._world())
            if isinstance(need, needs.StepDone):
                return state
            state = self._meet(state, need)
            if state.status != "running" or self.program.step_at(state.at) != step:
                return state

    def finish(self, state: RunState) -> RunState:
        """The state of a run that came to its end, with open placeholders filled and the checklist gone through."""
        state = self._fill_leftovers(state)
        written = bool(state.drafts) and state.status != "blocked"
        if written and self.options.validate_document and self.program.workflow.checklist and not state.checks:
            state = self._validate(state)
        return state

    # -- what is needed

    def _meet(self, state: RunState, need: needs.Need) -> RunState:
        match need:
            case needs.Judge():
                return self._judge(state, need)
            case needs.Ask():
                return self._ask(state, need)
            case needs.Write():
                return self._write(state, need)
            case needs.Work():
                return self._work(state, need)
            case needs.Discover():
                return outcomes.moved_on(self._discover(state))
            case needs.Load():
                return self._load(state, need.path)
            case needs.Validate():
                return outcomes.moved_on(self._validate(state, report=True))
            case _:
                return state

    def _judge(self, state: RunState, need: needs.Judge) -> RunState:
        request = prompts.judge_request(self._setting(state), state, need.condition, self._step(state))
        state, reply = self._complete(state, request)
        verdict = parsed(reply, request)
        return outcomes.judged(self.program, state, bool(verdict.get("holds")), str(verdict.get("reason", "")))

    def _ask(self, state: RunState, need: needs.Ask) -> RunState:
        facts = {name: value for name, value in state.variables.items() if name not in state.given}
        known = asking.known_answer(need.question, need.response, state.given, facts)
        if known:
            return outcomes.answered(
                self.program, state, known.answer, assumed=False, fact=f"{need.question} → {known.answer}"
            )
        if need.optional:
            return outcomes.answered(self.program, state, "", assumed=False)
        sources = self._onboarding()
        request = prompts.question_request(self._setting(state), state, need.question, self._step(state), sources)
        state, reply = self._complete(state, request)
        said = parsed(reply, request)
        answer, confidence = str(said.get("answer", "")).strip(), _number(said.get("confidence"))
        reason = str(said.get("reason", ""))
        quoted = asking.quoted_in(str(said.get("quote", "")), [*sources, *self._documents(state)])
        if quoted:
            return outcomes.answered(
                self.program, state, answer, assumed=False, fact=f"{need.question} → {answer} ({quoted})"
            )
        threshold = self.ports.config.settings.escalation_threshold
        if asking.needs_person(confidence, threshold, self.options.asking or self.ports.config.settings.questions):
            asked = Asked(
                question=need.question, response=need.response, step=self._step(state), recommendation=answer,
                reasoning=reason, confidence=max(0.0, min(1.0, confidence)), asked_by=self.persona.name,
            )  # fmt: skip
            return state.model_copy(update={"question": asked, "status": "waiting"})
        return outcomes.answered(self.program, state, answer, assumed=True, reason=reason)

    def _write(self, state: RunState, need: needs.Write) -> RunState:
        key = self.desk.key_of(state, need.file)
        document = self.desk.composed(state, key)
        path = self.desk.path_of(state, key)
        request = prompts.section_request(self._setting(state), state, need.section, self._step(state), path, document)
        state, said = self._whole_text(state, request)
        text = drafts.tidy(said)
        if not text:
            raise ModelBadOutput(f"The section {need.section!r} came back empty.", remedy="Run the workflow again.")
        state = self.desk.put(state, key, self.desk.section_key(state, need.section), text)
        state = self.desk.saved(state, key)
        return outcomes.written(self.program, state, text)

    def _whole_text(self, state: RunState, request: ModelRequest) -> tuple[RunState, str]:
        """The text that a request asks for, gone on with where it ended at the limit of one answer."""
        said = ""
        for _ in range(MOST_PARTS):
            try:
                state, reply = self._complete(state, request)
                return state, said + reply.content
            except ModelTruncated as cut:
                if not cut.answer.strip():
                    raise
                said += cut.answer
                request = prompts.go_on(request, cut.answer)
        raise ModelTruncated(
            f"The text of {request.messages[0].content.splitlines()[0]!r} did not end in {MOST_PARTS} answers.",
            remedy="Split the section in the workflow's instructions.",
        )

    def _work(self, state: RunState, need: needs.Work) -> RunState:
        workflow = self.program.workflow
        step = workflow.steps[self.program.step_at(state.at)]
        document = self.desk.composed(state, OWN) if OWN in state.drafts else ""
        folder = self.desk.folder(state)
        number = step.number or str(self.program.step_at(state.at) + 1)
        request = prompts.work_request(
            self._setting(state), state, number, need.step, document, folder,
            unattended=workflow.kind != "xml", attached=self.desk.attached(workflow, step),
            skill=workflow.kind == "skill",
        )  # fmt: skip
        state, reply = self._complete(state, request)
        return self._reported(state, parsed(reply, request), need.step, step.title)

    def _reported(self, state: RunState, said: Mapping[str, Any], step: str, heading: str) -> RunState:
        report = str(said.get("report", "")).strip()
        state = outcomes.worked(state, report, step)
        told = {str(v["name"]): v.get("value") for v in _dicts(said.get("variables")) if v.get("name")}
        values = {name: value for name, value in told.items() if name not in state.fixed}
        assumed = tuple(Assumption(question="", answer=text, step=step) for text in _strings(said.get("assumptions")))
        state = state.model_copy(
            update={
                "variables": {**state.variables, **values},
                "assumptions": (*state.assumptions, *assumed),
                "open_questions": (*state.open_questions, *_strings(said.get("open_questions"))),
            }
        )
        if text := str(said.get("document", "")).strip():
            state = self.desk.put(state, OWN, heading or step, drafts.tidy(text))
            state = self.desk.saved(state, OWN)
        for file in _dicts(said.get("files")):
            state = self.desk.write_file(state, str(file.get("path", "")), str(file.get("text", "")))
        stop = str(said.get("stop", "")).strip()
        if said.get("status") in {"partial", "blocked"}:  # a skill's headless result
            return state.end(said["status"], stop or report)
        if stop:
            return state.end("blocked", f"{step}: {stop}")
        return state

    def _discover(self, state: RunState) -> RunState:
        workflow, documents = self.program.workflow, self.ports.documents
        groups = workflow.input_patterns or (PLANNING if workflow.kind != "xml" else {})
        found = discover(
            groups, state.known(), documents.glob, documents.read,
            own=self.desk.path_of(state, OWN) if workflow.template or workflow.kind != "xml" else "",
            whole_first=str(workflow.variables.get("input_discovery", "")) == "whole_first",
        )  # fmt: skip
        inputs = dict(state.inputs)
        variables: dict[str, JsonValue] = dict(state.variables)
        for group, paths in found.items():
            inputs[group] = tuple(self.desk.input_of(path) for path in paths)
            variables[f"{group}_content"] = f"the document {', '.join(paths)}" if paths else ""
        return state.model_copy(update={"inputs": inputs, "variables": variables})

    def _load(self, state: RunState, path: str) -> RunState:
        paths = self.desk.matching(path)
        if paths and not any(file.path in paths for files in state.inputs.values() for file in files):
            inputs = {**state.inputs, f"file {path}": tuple(self.desk.input_of(one) for one in paths[:20])}
            state = state.model_copy(update={"inputs": inputs})
        told = list(state.told)
        if told and told[-1].kind == "action":  # reading is done: it need not be asked of a model
            told[-1] = Told(kind="guidance", text=f"{told[-1].text} (done: {', '.join(paths) or path})")
        return state.model_copy(update={"told": tuple(told)})

    def _validate(self, state: RunState, *, report: bool = False) -> RunState:
        checklist = self.program.workflow.checklist
        if not checklist:
            return state
        documents = [
            prompts.Source(self.desk.path_of(state, key) or key, self.desk.composed(state, key)) for key in state.drafts
        ]
        request = prompts.checklist_request(self._setting(state), checklist, documents)
        state, reply = self._complete(state, request)
        checks = {
            str(item.get("item", "")): str(item.get("verdict", ""))
            for item in _dicts(parsed(reply, request).get("items"))
        }
        state = state.model_copy(update={"checks": checks})
        if report:
            lines = [f"- {verdict}: {item}" for item, verdict in checks.items()]
            passed = sum(verdict == "PASS" for verdict in checks.values())
            text = "\n".join(
                [f"# Validation of {self.program.workflow.name}", "", f"Passed: {passed}/{len(checks)}", "", *lines]
            )
            state = self.desk.write_file(
                state, f"{self.desk.folder(state)}/validation-report-{state.today or 'latest'}.md", text
            )
        return state

    def _fill_leftovers(self, state: RunState) -> RunState:
        draft = state.drafts.get(OWN)
        if draft is None or state.status != "complete":
            return state
        names = drafts.open_placeholders(draft, state.known())
        for start in range(0, len(names), REMAINING_AT_ONCE):
            asked = names[start : start + REMAINING_AT_ONCE]
            request = prompts.leftovers_request(self._setting(state), state, asked, self.desk.composed(state, OWN))
            state, reply = self._complete(state, request)
            for name, text in parsed(reply, request).items():
                if name in asked and str(text).strip():
                    state = self.desk.put(state, OWN, name, str(text))
        missing = drafts.compose(state.drafts[OWN], state.known(), final=True).missing
        if missing:
            note = f"Nothing filled {', '.join(missing)} in {self.desk.path_of(state, OWN)}."
            state = state.model_copy(update={"open_questions": (*state.open_questions, note)})
        return self.desk.saved(state, OWN)

    # -- what requests share

    def _setting(self, state: RunState) -> prompts.Setting:
        workflow, config = self.program.workflow, self.ports.config
        return prompts.Setting(
            workflow=workflow.name,
            description=workflow.description,
            persona=self.persona,
            rules=tuple(fill_names(rule, state.known()) for rule in workflow.critical),
            documents=tuple(self._documents(state)),
            language=str(state.variables.get("document_output_language") or ""),
            project=str(state.variables.get("project_name") or config.project.name),
            project_level=config.project.level,
            max_context_tokens=config.settings.max_context_tokens,
            tags=self.tags.model_copy(update={"workflow": workflow.name, "step": self._step(state)}),
        )

    def _documents(self, state: RunState) -> list[prompts.Source]:
        paths = dict.fromkeys(file.path for files in state.inputs.values() for file in files)
        return [prompts.Source(path, self.ports.documents.read(path) or "") for path in paths]

    def _onboarding(self) -> list[prompts.Source]:
        paths = self.ports.documents.glob(self.ports.config.onboarding) if self.ports.config.onboarding else []
        return [prompts.Source(path, self.ports.documents.read(path) or "") for path in paths]

    def _world(self) -> World:
        return World(
            exists=self.desk.exists,
            optional_steps=self.options.optional_steps,
            max_step_visits=self.options.max_step_visits,
        )

    def _step(self, state: RunState) -> str:
        return step_name(self.program, self.program.step_at(state.at))

    def _complete(self, state: RunState, request: ModelRequest) -> tuple[RunState, ModelReply]:
        model = model_for(self.ports, state.workflow, request.model)
        reply = self.ports.models.complete(request.model_copy(update={"sample": state.sample, "model": model}))
        return state.model_copy(update={"model_calls": state.model_calls + 1}), reply


def parsed(reply: ModelReply, request: ModelRequest) -> Mapping[str, Any]:
    """The object that an answer with a schema holds.

    Raises:
        ModelBadOutput: there is none.
    """
    if isinstance(reply.parsed, Mapping):
        return reply.parsed
    text = reply.content.strip()
    start, end = text.find("{"), text.rfind("}")
    if 0 <= start < end:
        try:
            value = json.loads(text[start : end + 1])
        except ValueError:
            value = None
        if isinstance(value, dict):
            return value
    raise ModelBadOutput(
        f"The answer to {request.messages[0].content.splitlines()[0]!r} is not the JSON object asked for."
    )


def _dicts(value: object) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _strings(value: object) -> list[str]:
    return [str(item) for item in value if str(item).strip()] if isinstance(value, list) else []


def _number(value: object) -> float:
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return 0.0
