import json

import pytest
from storyloom.domain.errors import DocumentError, ModelBadOutput, ModelTruncated, UnsafePath, WorkflowError
from storyloom.domain.fakes import MemoryDocuments, MemoryTexts, ScriptedModels
from storyloom.domain.model_calls import ModelReply
from storyloom.domain.ports import ProjectRef
from storyloom.domain.run_state import ENDED
from storyloom.domain.settings import Project, ProjectConfig, Settings
from storyloom.tasks.library import find_workflow, open_workflow, opened, planned_calls
from storyloom.tasks.ports import Ports
from storyloom.tasks.workflow_begin import initial_state
from storyloom.tasks.workflow_machine import Machine, RunOptions

SIMULATED = Settings(questions="simulate")
REPORT = {
    "report": "done", "document": "", "variables": [], "files": [], "assumptions": [], "open_questions": [], "stop": "",
}  # fmt: skip


class World:
    """One project in memory and a model that answers by subject; forms not scripted get a plain one."""

    def __init__(self, files, documents=None, answers=None, settings=None, onboarding=()):
        self.answers = answers or {}
        self.models = ScriptedModels(self.answer)
        self.documents = MemoryDocuments(documents)
        config = ProjectConfig(project=Project(name="Shelf"), settings=settings or SIMULATED, onboarding=onboarding)
        self.ports = Ports(
            ProjectRef(repository="/srv/shelf"), config=config, models=self.models, documents=self.documents,
            texts=MemoryTexts(files),
        )  # fmt: skip

    def answer(self, request):
        subject = request.messages[0].content.splitlines()[0].removeprefix("# ")
        forms = {
            "verdict": {"holds": False, "reason": ""},
            "answer": {"answer": "n", "confidence": 0.6, "reason": "why", "quote": ""},
            "report": REPORT,
            "headless": {**REPORT, "status": "complete", "intent": "create"},
            "checks": {"items": []},
        }
        said = self.answers.get(subject, forms.get(request.schema_name, f"Text of {subject}."))
        if isinstance(said, dict) and request.schema_name:
            said = {**forms.get(request.schema_name, {}), **said}
        return said if isinstance(said, str) else ModelReply(content=json.dumps(said))

    def begin(self, name, inputs=None, options=None):
        it = open_workflow(self.ports, name)
        machine = Machine(self.ports, it.program, it.persona, options or RunOptions())
        return machine, machine.desk.adopt(initial_state(self.ports, it, inputs or {}, "2026-01-31"))

    def run(self, name="w", inputs=None, options=None):
        machine, state = self.begin(name, inputs, options)
        while state.status not in ENDED | {"waiting", "calling"}:
            state = machine.run_step(state)
        return machine.finish(state) if state.status in ENDED else state

    @property
    def subjects(self):
        return [request.messages[0].content.splitlines()[0].removeprefix("# ") for request in self.models.asked]


def tagged(body, **more):
    yaml = {"name": "w", "instructions": "instructions.md", "template": False, **more}
    instructions = f"<workflow>{body}</workflow>"
    return {"workflows/w/workflow.yaml": json.dumps(yaml), "workflows/w/instructions.md": instructions}


# -- asking


ASK = "<step n='1'><ask response='tone'>Which tone?</ask><template-output>text</template-output></step>"
QUESTION = "w · question · Which tone?"


def test_an_input_answers_without_a_model_and_reaches_the_prompt():
    world = World(tagged(ASK))
    state = world.run(inputs={"tone": "dry"})
    assert world.subjects == ["w · text"]
    assert "Which tone? → dry" in world.models.asked[0].messages[0].content
    assert state.assumptions == ()


def test_the_simulated_experts_answer_is_an_assumption():
    world = World(tagged(ASK), answers={QUESTION: {"answer": "warm"}})
    state = world.run()
    assert world.models.asked[0].system.startswith("You are Alex, Product Owner.\n")
    assert [(a.question, a.answer, a.reason) for a in state.assumptions] == [("Which tone?", "warm", "why")]
    assert state.variables["tone"] == "warm"


def test_an_answer_quoted_from_an_onboarding_document_is_a_fact():
    world = World(
        tagged(ASK),
        documents={"docs/style.md": "All our texts are written in a dry tone."},
        answers={QUESTION: {"answer": "dry", "quote": "are written in a dry tone"}},
        onboarding=("docs/style.md",),
    )
    state = world.run()
    assert (state.assumptions, state.variables["tone"]) == ((), "dry")
    assert any("(docs/style.md)" in told.text for told in state.history)


@pytest.mark.parametrize(
    ("asking", "confidence", "status"),
    [("person", 0.99, "waiting"), ("unsure", 0.5, "waiting"), ("unsure", 0.9, "complete"), ("", 0.5, "waiting")],
)
def test_a_person_is_asked_as_the_options_or_the_project_say(asking, confidence, status):
    answers = {QUESTION: {"answer": "warm", "confidence": confidence}}
    world = World(tagged(ASK), answers=answers, settings=Settings(questions="unsure"))
    state = world.run(options=RunOptions(asking=asking))
    assert state.status == status
    if status == "waiting":
        asked = state.question
        assert (asked.question, asked.recommendation, asked.asked_by) == ("Which tone?", "warm", "John")


def test_an_optional_question_is_left_unanswered():
    world = World(tagged("<step n='1'><ask optional='true'>More?</ask></step>"))
    assert (world.run().status, world.subjects) == ("complete", [])


# -- writing


def test_marks_in_a_section_are_collected():
    text = "We sell books [ASSUMPTION: in shops]. [OPEN: which shops?]"
    state = World(
        tagged("<step n='1'><template-output>text</template-output></step>"), answers={"w · text": text}
    ).run()
    assert [a.answer for a in state.assumptions] == ["in shops"]
    assert state.open_questions == ("which shops?",)


def test_an_empty_section_is_bad_output():
    world = World(tagged("<step n='1'><template-output>text</template-output></step>"), answers={"w · text": "  "})
    with pytest.raises(ModelBadOutput, match="'text' came back empty"):
        world.run()


def test_an_answer_that_is_not_the_form_asked_for_is_bad_output():
    world = World(tagged(ASK), answers={QUESTION: "whatever"})
    with pytest.raises(ModelBadOutput, match="Which tone"):
        world.run()


def test_sections_go_to_the_file_that_their_tag_names_and_loops_write_one_for_each_item():
    body = (
        "<step n='1'><for-each epic='epics'><template-output file='{output_folder}/{{epic}}.md'>story</template-output>"
        "<template-output>summary</template-output></for-each></step>"
    )
    world = World(tagged(body, default_output_file="{output_folder}/all.md", epics=["a", "b"]))
    state = world.run()
    assert sorted(world.documents.texts) == ["docs/a.md", "docs/all.md", "docs/b.md"]
    assert world.documents.read("docs/all.md") == (
        "## Summary A\n\nText of w · summary.\n\n## Summary B\n\nText of w · summary.\n"
    )
    assert state.status == "complete"


def test_a_document_outside_of_the_project_is_not_written_and_noted():
    class Guarded(MemoryDocuments):
        def write(self, path, text):
            raise UnsafePath("no")

    world = World(tagged("<step n='1'><template-output>a, b</template-output></step>", default_output_file="x.md"))
    object.__setattr__(world.ports, "documents", Guarded())
    assert world.run().open_questions == ("x.md may not be written: it leaves the project or is protected.",)


def test_open_placeholders_are_filled_in_one_call_and_what_is_left_is_listed():
    files = tagged(
        "<step n='1'><template-output>a</template-output></step>", template="t.md", default_output_file="d.md"
    )
    files["workflows/w/t.md"] = "{{a}} {{b}} {{date}} {{c}}"
    world = World(files, answers={"w · remaining sections": {"b": "B", "c": ""}})
    state = world.run()
    assert world.subjects == ["w · a", "w · remaining sections"]
    assert world.documents.read("d.md") == "Text of w · a. B 2026-01-31 {{c}}\n"
    assert state.open_questions == ("Nothing filled c in d.md.",)


def test_a_workflow_that_halts_fills_nothing_and_is_not_checked():
    files = tagged(
        "<step n='1'><template-output>a</template-output><action>HALT: enough</action></step>",
        template="t.md", validation="c.md", default_output_file="d.md",
    )  # fmt: skip
    files |= {"workflows/w/t.md": "{{a}} {{b}}", "workflows/w/c.md": "- [ ] x"}
    world = World(files)
    state = world.run()
    assert (state.status, state.reason, world.subjects) == ("blocked", "enough", ["w · a"])
    assert world.documents.read("d.md") == "Text of w · a. {{b}}\n"


# -- actions that no section took up


def test_a_report_sets_variables_writes_files_and_can_stop_the_run():
    told = {
        "report": "planned", "document": "The plan.", "assumptions": ["it is small"], "open_questions": ["when?"],
        "variables": [{"name": "next_story", "value": "1-1"}, {"name": "output_folder", "value": "src"}],
        "files": [{"path": "docs/stories/1-1.md", "text": "# 1"}, {"path": "src/a.py", "text": "x"},
                  {"path": "../out.md", "text": "x"}],
    }  # fmt: skip
    body = "<step n='1' goal='Plan'><action>plan</action></step><step n='2'><action>do {{next_story}}</action></step>"
    world = World(
        tagged(body, default_output_file="docs/plan.md"),
        answers={"w · step 1": told, "w · step 2": {"stop": "no keys"}},
    )
    state = world.run()
    assert (state.status, state.reason) == ("blocked", "step 2: no keys")
    assert world.documents.texts == {"docs/plan.md": "## Plan\n\nThe plan.\n", "docs/stories/1-1.md": "# 1\n"}
    assert "do 1-1" in world.models.asked[1].messages[0].content
    assert state.variables["output_folder"] == "docs"
    assert sum("outside of the folders" in question for question in state.open_questions) == 2


def test_a_file_that_an_action_reads_is_given_to_the_model_as_a_document():
    body = "<step n='1'><action>Load the file docs/status.yaml</action><template-output>text</template-output></step>"
    world = World(tagged(body), documents={"docs/status.yaml": "phase: 2"})
    world.run()
    request = world.models.asked[0]
    assert '<document name="docs/status.yaml">\nphase: 2\n</document>' in request.system
    assert "Load the file docs/status.yaml (done: docs/status.yaml)" in request.messages[0].content


def test_a_judged_condition_is_kept_with_its_reason():
    body = "<step n='1'><check if='the brief is thin'><template-output>more</template-output></check></step>"
    world = World(tagged(body), answers={"w · condition · the brief is thin": {"holds": True, "reason": "one line"}})
    state = world.run()
    assert [(d.condition, d.held, d.by, d.reason) for d in state.decisions] == [
        ("the brief is thin", True, "model", "one line")
    ]
    assert world.models.asked[0].model == "light"


def test_a_validation_in_the_middle_writes_its_report():
    body = (
        "<step n='1'><template-output>a</template-output>"
        "<invoke-task>Validate against checklist with validate-workflow.xml</invoke-task></step>"
    )
    files = tagged(body, validation="c.md", default_output_file="docs/d.md") | {"workflows/w/c.md": "- [ ] x"}
    items = [{"item": "x", "verdict": "FAIL", "evidence": ""}, {"item": "y", "verdict": "PASS", "evidence": ""}]
    world = World(files, answers={"w · checklist": {"items": items}})
    state = world.run()
    assert state.checks == {"x": "FAIL", "y": "PASS"}
    assert world.documents.read("docs/validation-report-2026-01-31.md") == (
        "# Validation of w\n\nPassed: 1/2\n\n- FAIL: x\n- PASS: y\n"
    )
    assert world.subjects.count("w · checklist") == 1


# -- step files and skills


STEPS = {
    "workflows/s/workflow.md": "---\nname: s\n---\n# S\n\nBegin with `steps/step-01-init.md`.\n",
    "workflows/s/t.template.md": "---\nstepsCompleted: []\n---\n\n# Plan of {{project_name}}\n",
    "workflows/s/steps/step-01-init.md": (
        "---\nname: step-01-init\noutputFile: '{planning_artifacts}/plan.md'\nplanTemplate: '../t.template.md'\n"
        "nextStepFile: './step-02-goal.md'\n---\n# Init\n\nGreet, then load the next step.\n"
    ),
    "workflows/s/steps/step-01b-continue.md": "---\nname: step-01b-continue\n---\n# Continue\n\nResume.\n",
    "workflows/s/steps/step-02-goal.md": (
        "---\nname: step-02-goal\noutputFile: '{planning_artifacts}/plan.md'\nnextStepFile: './step-03-end.md'\n---\n"
        "# Goal\n\nSee `data/kinds.csv`.\n\n[A] Advanced Elicitation [C] Continue\n\n"
        "- IF A: run it\n- IF C: save, then load {nextStepFile}\n"
    ),
    "workflows/s/steps/step-03-end.md": "---\nname: step-03-end\n---\n# End\n\nSay goodbye.\n",
    "workflows/s/data/kinds.csv": "kind\nweb\n",
}


def test_step_files_run_in_order_without_menus_and_keep_their_progress_in_the_document():
    world = World(STEPS, documents={"docs/brief.md": "A shelf."}, answers={"s · step 2": {"document": "The goal."}})
    state = world.run("s")
    assert (state.status, world.subjects) == ("complete", ["s · step 1", "s · step 2", "s · step 3"])
    assert world.documents.read("docs/plan.md") == (
        "---\nstepsCompleted: [step-01-init, step-02-goal, step-03-end]\ninputDocuments: [docs/brief.md]\n---\n\n"
        "# Plan of Shelf\n\n## Goal\n\nThe goal.\n"
    )
    second = world.models.asked[1].messages[0].content
    assert "runs headless" in second
    assert "kind\nweb" in second
    assert "A shelf." in world.models.asked[1].system


@pytest.mark.parametrize("marks", ["[1]", "[step-01-init]"])
def test_a_document_of_step_files_is_gone_on_with_where_an_earlier_session_left_it(marks):
    text = f"---\nstepsCompleted: {marks}\n---\n\n# Mine {{{{x}}}}\n"
    world = World(STEPS, documents={"docs/plan.md": text}, answers={"s · step 2": {"document": "The goal."}})
    assert world.run("s").status == "complete"
    assert world.subjects == ["s · step 2", "s · step 3"]
    assert world.documents.read("docs/plan.md").endswith("\n# Mine {{x}}\n\n## Goal\n\nThe goal.\n")


def test_a_complete_document_of_step_files_is_left_alone():
    text = "---\nstepsCompleted: [1, 2, 3]\n---\n\n# Mine\n"
    world = World(STEPS, documents={"docs/plan.md": text})
    state = world.run("s")
    assert (state.status, state.reason) == ("complete", "docs/plan.md is complete already")
    assert (world.subjects, world.documents.written) == ([], [])


def test_families_of_step_files_are_chosen_by_intent():
    files = {
        "workflows/f/workflow.md": "---\nname: f\n---\nSee `steps-c/step-01-a.md`, `steps-v/step-01-b.md`.\n",
        "workflows/f/steps-c/step-01-a.md": "# Make\n\nmake\n",
        "workflows/f/steps-v/step-01-b.md": "# Check\n\ncheck\n",
    }
    assert World(files).run("f").steps_done == ("step 1 Make",)
    assert World(files).run("f", inputs={"intent": "validate"}).steps_done == ("step 1 Check",)


SKILL = {
    "workflows/k/SKILL.md": "---\nname: k\ndescription: Plans\n---\n# K\n\nIf headless, see `references/h.md`.\n",
    "workflows/k/references/h.md": "Never ask.\n",
}


def test_a_skill_is_one_headless_step_with_files_as_artefacts():
    files = [{"path": "docs/plan.md", "text": "# Plan\n"}]
    world = World(SKILL, answers={"k · step 1": {"files": files, "assumptions": ["small"]}})
    state = world.run("k")
    assert (state.status, state.files) == ("complete", {"docs/plan.md": "# Plan\n"})
    request = world.models.asked[0]
    assert request.schema_name == "headless"
    assert "Never ask." in request.messages[0].content


@pytest.mark.parametrize("status", ["partial", "blocked"])
def test_a_skill_that_does_not_finish_says_why(status):
    world = World(SKILL, answers={"k · step 1": {"status": status, "stop": "no brief"}})
    state = world.run("k")
    assert (state.status, state.reason) == (status, "no brief")


# -- finding


def test_workflows_are_found_by_name_folder_and_path_and_a_wrong_name_names_the_nearest():
    world = World(tagged("<step n='1'><action>x</action></step>"))
    for name in ("w", "workflows/w", "{project-root}/_bmad/x/workflows/w/workflow.yaml", "workflows/w/workflow.yaml"):
        assert find_workflow(world.ports, name) == "workflows/w/workflow.yaml"
    with pytest.raises(WorkflowError, match=r"There is no workflow 'v'\. Near it: .*w"):
        find_workflow(world.ports, "v")


def test_a_broken_workflow_is_refused_with_file_and_line():
    world = World(tagged("\n<step n='1'><goto step='7'>x</goto></step>"))
    with pytest.raises(DocumentError, match=r"workflows/w/instructions\.md:2: goto '7' leads nowhere"):
        open_workflow(world.ports, "w")


def test_a_workflow_that_changed_while_it_ran_is_not_gone_on_with():
    world = World(tagged("<step n='1'><action>x</action></step>"))
    it = open_workflow(world.ports, "w")
    assert opened(world.ports, "w", it.digest) is it
    with pytest.raises(WorkflowError, match="was changed while it ran"):
        opened(world.ports, "w", "another digest")


def test_the_persona_is_the_one_named_or_the_one_whose_words_fit():
    persona = {"role": "Writes", "identity": "Quiet", "communication_style": "Short", "principles": ["Write"]}
    meta = {"id": "zoe", "name": "Zoe", "title": "Scribe", "icon": "Z"}
    menu = [{"trigger": "w", "description": "w", "workflow": "workflows/w/workflow.yaml"}]
    agent = {"agent": {"metadata": meta, "persona": persona, "menu": menu}}
    files = tagged("<step n='1'><template-output>x</template-output></step>", agent="zoe")
    files["personas/zoe.agent.yaml"] = json.dumps(agent)
    world = World(files)
    world.run()
    assert world.models.asked[0].system.startswith("You are Zoe, Scribe.\n\nWrites\nQuiet\n")
    assert world.models.asked[0].persona == "zoe"
    other = tagged("<step n='1'><action>x</action></step>", name="architecture-notes")
    assert open_workflow(World(other).ports, "w").persona.name == "Winston"


def test_installed_configuration_names_the_folders():
    files = {
        "_bmad/bmm/config.yaml": "output_folder: '{project-root}/out'\nplanning_artifacts: '{output_folder}/plans'\n",
        "_bmad/bmm/workflows/w/workflow.yaml": json.dumps({
            "name": "w", "config_source": "{project-root}/_bmad/bmm/config.yaml", "instructions": "./i.md",
            "output_folder": "{config_source}:planning_artifacts", "default_output_file": "{output_folder}/w.md",
        }),
        "_bmad/bmm/workflows/w/i.md": "<workflow><step n='1'><template-output>a</template-output></step></workflow>",
    }  # fmt: skip
    world = World(files)
    assert world.run().status == "complete"
    assert list(world.documents.texts) == ["out/plans/w.md"]


def test_the_most_calls_of_a_plan_are_those_of_a_run_that_judges_and_asks_everything():
    body = (
        "<step n='1'><ask>Q?</ask><check if='it is odd'><action>x</action></check>"
        "<template-output>a</template-output></step><step n='2'><action>y</action></step>"
    )
    files = tagged(body, validation="c.md", default_output_file="d.md") | {"workflows/w/c.md": "- [ ] x"}
    world = World(files)
    world.run()
    assert planned_calls(world.ports, "w").most == len(world.subjects) == 5


def test_a_section_that_ends_at_the_limit_of_an_answer_is_gone_on_with():
    cuts = ["First, ", "second, "]

    def complete(request):
        world.models.asked.append(request)
        if cuts:
            error = ModelTruncated("cut")
            error.answer = cuts.pop(0)
            raise error
        return ModelReply(content="third.")

    world = World(tagged("<step n='1'><template-output>a</template-output></step>", default_output_file="d.md"))
    world.models.complete = complete
    assert world.run().status == "complete"
    assert world.documents.read("d.md") == "## A\n\nFirst, second, third.\n"
    assert [message.role for message in world.models.asked[-1].messages] == ["user", "assistant"] * 2 + ["user"]
    cuts = ["x"] * 9
    with pytest.raises(ModelTruncated, match="did not end in 4 answers"):
        world.run()


def test_a_long_system_prompt_is_marked_for_the_cache():
    body = "<step n='1'><action>Load the file docs/long.md</action><template-output>text</template-output></step>"
    for length, marked in ((10, False), (9_000, True)):
        world = World(tagged(body), documents={"docs/long.md": "x" * length})
        world.run()
        assert world.models.asked[0].cache_system is marked


def test_a_board_that_a_model_writes_anew_only_goes_forward():
    there = "development_status:\n  1-1-a: done\n  1-2-b: review\n"
    files = [
        {"path": "docs/stories/sprint-status.yaml", "text": "development_status:\n  1-1-a: backlog\n  1-3-c: backlog\n"}
    ]
    world = World(
        tagged("<step n='1'><action>plan</action></step>"),
        documents={"docs/stories/sprint-status.yaml": there},
        answers={"w · step 1": {"files": files}},
    )
    assert world.run().open_questions == ()
    assert world.documents.read("docs/stories/sprint-status.yaml").splitlines() == [
        "development_status:", "  1-1-a: done", "  1-2-b: review", "  1-3-c: backlog",
    ]  # fmt: skip
    world.documents.texts["docs/stories/sprint-status.yaml"] = "development_status: [\n"
    assert "sprint-status.yaml" in world.run().open_questions[0]
