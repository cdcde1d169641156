"""Small workflows, driven without a model: every need is met from a table, and what was needed is what is checked."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from storyloom.domain import outcomes, sequencer
from storyloom.domain.compiler import compile_workflow
from storyloom.domain.needs import Ask, Discover, Judge, Load, StepDone, Validate, Work, World, Write
from storyloom.domain.run_state import RunState
from storyloom.domain.workflow_reader import read_workflow


def program(instructions, **files):
    yaml = "name: sample\ninstructions: instructions.md\ntemplate: false\n" + files.pop("yaml", "")
    texts = {"w/workflow.yaml": yaml, "w/instructions.md": f"<workflow>{instructions}</workflow>", **files}
    return compile_workflow(read_workflow("w/workflow.yaml", texts))


class Drive:
    """Takes a run to its end; `answers` by question, `held` conditions that a judge lets hold."""

    def __init__(self, instructions, *, answers=None, held=(), variables=None, world=None, yaml=""):
        self.program = program(instructions, yaml=yaml)
        self.answers, self.held, self.world = answers or {}, held, world or World()
        self.needs = []
        self.state = RunState(workflow="sample", variables=variables or {})
        for _ in range(200):
            if self.state.status != "running":
                break
            self.step()

    def step(self):
        at = self.program.step_at(self.state.at)
        while self.program.step_at(self.state.at) == at and self.state.status == "running":
            self.state, need = sequencer.advance(self.program, self.state, self.world)
            if isinstance(need, StepDone):
                return
            self.meet(need)

    def meet(self, need):
        p, s = self.program, self.state
        match need:
            case Judge(condition=condition):
                self.needs.append(f"judge {condition}")
                self.state = outcomes.judged(p, s, condition in self.held, "scripted")
            case Ask(question=question):
                self.needs.append(f"ask {question}")
                self.state = outcomes.answered(p, s, self.answers.get(question, "n"), assumed=True)
            case Write(section=section):
                told = "; ".join(t.text for t in s.told if t.kind == "action")
                self.needs.append(f"write {section}" + (f" ({told})" if told else ""))
                self.state = outcomes.written(p, s, section)
            case Work():
                self.needs.append("work " + "; ".join(t.text for t in s.told if t.kind == "action"))
                self.state = outcomes.worked(s, "done", need.step)
            case Discover() | Validate():
                self.needs.append(type(need).__name__.lower())
                self.state = outcomes.moved_on(s)
            case Load(path=path):
                self.needs.append(f"load {path}")
                self.state = s.model_copy(update={"told": s.told[:-1]})


def test_steps_run_in_numeric_order_whatever_the_order_of_the_text():
    run = Drive(
        "<step n='1' goal='b'><action>one</action></step><step n='0.5' goal='a'><action>half</action></step>"
        "<step n='2a' goal='c'><action>two a</action></step><step n='-1' goal='z'><action>first</action></step>"
        "<step n='FINAL' goal='e'><action>last</action></step><step n='10' goal='d'><action>ten</action></step>"
    )
    assert run.needs == ["work first", "work half", "work one", "work two a", "work ten", "work last"]
    assert run.state.status == "complete"
    assert run.state.steps_done[0] == "step -1 z"


def test_actions_go_into_the_next_section_and_only_leftover_ones_are_work():
    run = Drive(
        "<step n='1'><action>read</action><template-output>a, b</template-output><action>later</action>"
        "<template-output>c</template-output><action>tidy</action></step>"
    )
    assert run.needs == ["write a (read)", "write b (read)", "write c (later)", "work tidy"]


def test_checks_and_else_take_one_way_and_nested_checks_only_when_their_parent_is_taken():
    text = (
        "<step n='1'><check if='mode == x'><template-output>x</template-output></check>"
        "<check if='mode == y'><template-output>y</template-output>"
        "<check if='deep == true'><template-output>deep</template-output></check></check>"
        "<check if='else'><template-output>other</template-output></check></step>"
    )
    assert Drive(text, variables={"mode": "y", "deep": True}).needs == ["write y", "write deep"]
    assert Drive(text, variables={"mode": "x", "deep": True}).needs == ["write x"]
    assert Drive(text, variables={"mode": "q"}).needs == ["write other"]


def test_a_condition_on_any_tag_guards_it():
    run = Drive(
        "<step n='1'><action if='a == 1'>one</action><action if='a == 2'>two</action><ask if='a == 2'>Why?</ask></step>"
        "<step n='2' if='a == 2'><action>never</action></step>",
        variables={"a": 1},
    )
    assert run.needs == ["work one"]
    assert run.state.skipped == ("step 2: not a == 2",)


def test_a_judged_equality_tells_the_value_to_later_checks():
    text = (
        "<step n='1'><action>Find the state</action><check if='state == A'><template-output>a</template-output></check>"
        "<check if='state == B'><template-output>b</template-output></check>"
        "<check if='state == B'><template-output>b2</template-output></check></step>"
    )
    run = Drive(text, held=("state == B",))
    assert run.needs == ["judge state == A", "judge state == B", "write b (Find the state)", "write b2"]
    assert [d.by for d in run.state.decisions] == ["model", "model", "code"]


def test_jumps_by_tag_anchor_body_and_prose_lead_to_the_same_place():
    ways = ["<goto step='3'>x</goto>", "<goto>3</goto>", "<goto anchor='here' />", "<action>Skip to step 3</action>"]
    for way in ways:
        run = Drive(
            f"<step n='1'>{way}</step><step n='2'><action>never</action></step>"
            "<step n='3'><anchor id='here' /><action>there</action></step>"
        )
        assert run.needs == ["work there"], way


def test_a_jump_into_the_middle_of_a_step_skips_what_stands_before_it():
    run = Drive(
        "<step n='1'><goto anchor='mid'/></step><step n='2'><action>before</action><anchor id='mid'/>"
        "<action>after</action></step>"
    )
    assert run.needs == ["work after"]


def test_a_goto_to_nowhere_is_an_error_with_its_line_and_a_prose_jump_to_nowhere_an_action():
    made = program("\n<step n='1'>\n<goto step='9'>x</goto><action>Jump to step 8</action></step>")
    assert [(note.line, note.severity) for note in made.notes] == [(3, "error"), (3, "warning")]
    assert [op.kind for op in made.ops] == ["step", "do", "do", "finish"]


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        ("<action>HALT: nothing to do</action>", "blocked", "nothing to do"),
        ("<output>📋 No stories.\nmore</output><action>HALT</action>", "blocked", "No stories."),
        ("<action>Exit workflow</action>", "complete", "ended early in step 1"),
        ("<action>Return to caller</action>", "complete", "returned from step 1"),
        ("<action if='x == 1'>HALT</action>", "complete", ""),
    ],
)
def test_a_workflow_ends_where_it_says_so(body, status, reason):
    run = Drive(f"<step n='1'>{body}</step>" + ("" if reason == "" else "<step n='2'><action>never</action></step>"))
    assert (run.state.status, run.state.reason, run.needs) == (status, reason, [])


MODES = (
    "<step n='0'><action>Check for {{mode}}</action><action>Default mode = 'talk' if not specified</action>"
    "<check if='mode == talk'><action>Continue to Step 1</action></check>"
    "<check if='mode == data'><action>Jump to Step 20</action></check></step>"
    "<step n='1'><action>talk</action></step><step n='2'><action>on</action></step>"
    "<step n='20'><template-output>found = 3</template-output></step>"
    "<step n='30'><action>never by itself</action></step>"
)


def test_a_mode_service_runs_its_mode_only_and_falls_into_no_other():
    talk = Drive(MODES)
    assert talk.needs == ["work Check for {{mode}}", "work talk", "work on"] or talk.needs == ["work talk", "work on"]
    data = Drive(MODES.replace("30", "21"), variables={"mode": "data"})
    assert data.state.variables["found"] == 3
    assert "work never by itself" in data.needs  # 21 is no mode's entry, so it belongs to the one before
    routed = Drive(MODES.replace("mode == talk'", "mode == look'><action>Jump to Step 30</action></check>"
                                 "<check if='mode == talk'"), variables={"mode": "data"})  # fmt: skip
    assert "work never by itself" not in routed.needs


def test_an_optional_step_is_taken_unless_the_project_says_no():
    text = "<step n='1' optional='true' goal='extra'><action>extra</action></step>"
    assert Drive(text).needs == ["work extra"]
    refused = Drive(text, world=World(optional_steps=False))
    assert (refused.needs, refused.state.skipped) == ([], ("step 1 extra: optional",))


def test_repeat_runs_a_number_of_times_and_a_wish_once():
    assert Drive("<step n='1' repeat='3'><action>again</action></step>").needs == ["work again"] * 3
    assert Drive("<step n='1' repeat='until-approved'><action>once</action></step>").needs == ["work once"]


def test_for_each_runs_over_what_is_known():
    text = "<step n='1'><for-each epic='epics'><template-output>about {{epic}}</template-output></for-each></step>"
    run = Drive(text, variables={"epics": ["a", "b"]})
    assert len(run.needs) == 2
    assert run.state.variables["epic"] == "b"
    counted = Drive(
        "<step n='1'><for-each story='1 to story_count'><action>do {{story}}</action></for-each></step>",
        variables={"story_count": 3},
    )
    assert counted.needs == ["work do 1; do 2; do 3"]
    unknown = Drive("<step n='1'><for-each risk='risks'><action>weigh</action></for-each></step>")
    assert unknown.needs == ["work weigh"]
    assert Drive(text, variables={"epics": []}).needs == []


def test_a_step_repeated_for_each_item_runs_once_per_item():
    run = Drive(
        "<step n='1' repeat='for-each-decision'><action>decide {{decision}}</action></step>",
        variables={"decisions": ["x", "y"]},
    )
    assert run.needs == ["work decide x", "work decide y"]


def test_nothing_loops_without_end():
    run = Drive("<step n='1' goal='round'><action>again</action><goto step='1'>x</goto></step>")
    assert run.state.status == "partial"
    assert run.state.reason == "step 1 round was entered more than 12 times (line 1)"
    within = Drive("<step n='1'><anchor id='a'/><goto anchor='a'/></step>")
    assert within.state.status == "partial"


def test_an_answer_sets_its_variable_and_decides_what_follows():
    text = (
        "<step n='1'><ask response='tone'>Tone?</ask><check if='y'><action>yes way</action></check>"
        "<action>use {{tone}}</action></step>"
    )
    run = Drive(text, answers={"Tone?": "y"})
    assert run.needs == ["ask Tone?", "work yes way; use y"]
    assert [(a.question, a.answer) for a in run.state.assumptions] == [("Tone?", "y")]


def test_values_are_set_by_code_where_a_sentence_says_so():
    run = Drive(
        "<step n='1'><action>Set {{kind}} = 'web'</action><action>Default mode = 'slow'</action>"
        "<check if='kind == web AND mode == fast'><template-output>x</template-output></check></step>",
        variables={"mode": "fast"},
    )
    assert (run.needs, run.state.variables["kind"]) == (["write x"], "web")


def test_a_file_that_an_action_reads_is_loaded_by_code_and_decides_file_found():
    text = (
        "<step n='1'><action>Search {docs} for file: status.yaml</action>"
        "<check if='status file found'><template-output>a</template-output></check>"
        "<check if='status file not found'><template-output>b</template-output></check></step>"
    )
    there = Drive(text, world=World(exists=lambda path: path == "status.yaml"))
    assert there.needs == ["load status.yaml", "write a"]
    gone = Drive(text, world=World(exists=lambda _path: False))
    assert gone.needs == ["write b (Search {docs} for file: status.yaml)"]


def test_a_called_workflow_stops_the_step_and_its_results_come_back():
    text = (
        "<step n='1'><invoke-workflow path='{project-root}/x/status/workflow.yaml'><param>mode: data</param>"
        "</invoke-workflow><action>after {{found}}</action></step>"
    )
    run = Drive(text)
    assert (run.state.status, run.state.call.workflow) == ("calling", "{project-root}/x/status/workflow.yaml")
    assert run.state.call.inputs == {"mode": "data"}
    run.state = outcomes.returned(run.state, {"found": 3}, "it ended complete")
    run.step()
    assert run.needs == ["work after 3"]
    assert outcomes.returned(run.state, {}, "x", stop="it is blocked").status == "blocked"


def test_elicitation_is_skipped_and_validation_asked_for():
    run = Drive(
        "<step n='1'><invoke-task>{root}/advanced-elicitation.xml</invoke-task>"
        "<invoke-task halt='true'>Validate against checklist at x.md using validate-workflow.xml</invoke-task></step>"
    )
    assert run.needs == ["validate"]
    assert len(run.state.skipped) == 1


def test_a_bare_check_of_old_covers_what_follows_it():
    text = (
        "<step n='1'><check>If mode is 'a':</check><action>do a</action><check>If mode is 'b':</check>"
        "<action>do b</action></step>"
    )
    assert Drive(text, variables={"mode": "b"}).needs == ["work do b"]


def test_nested_steps_run_in_place_and_can_be_jumped_to():
    run = Drive(
        "<step n='1'><goto step='2b'>x</goto></step><step n='2'><step n='2a'><action>a</action></step>"
        "<step n='2b'><action>b</action></step><action>c</action></step>"
    )
    assert run.needs == ["work b; c"]


def test_inputs_are_looked_for_first_when_no_step_says_when():
    run = Drive("<step n='1'><action>x</action></step>", yaml="input_file_patterns:\n  prd: {whole: '*prd*.md'}\n")
    assert run.needs == ["discover", "work x"]


def test_the_same_state_and_outcomes_give_the_same_states():
    one, two = Drive(MODES), Drive(MODES)
    assert one.state == two.state
    assert one.state.digest() == RunState.model_validate_json(one.state.model_dump_json()).digest()


PARTS = st.lists(
    st.sampled_from([
        "<action>do it</action>", "<action>HALT</action>", "<goto step='1'>x</goto>", "<goto step='2'>x</goto>",
        "<ask response='r'>Q?</ask>", "<check if='y'><action>a</action></check>",
        "<check if='else'><goto step='2'/></check>",
        "<template-output>s</template-output>", "<action>Exit workflow</action>", "text", "<anchor id='q'/>",
        "<for-each x='1 to 3'><action>e</action></for-each>", "<check if='flag'><goto anchor='q'/></check>",
    ]),
    max_size=6,
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(PARTS, PARTS)
def test_any_workflow_ends(first, second):
    one, two = "".join(first), "".join(second)
    run = Drive(f"<step n='1'>{one}</step><step n='2'>{two}<anchor id='q'/></step>", held=("flag",))
    assert run.state.status in {"complete", "partial", "blocked"}


@pytest.mark.parametrize(
    ("body", "needs"),
    [
        ("<substep n='1a'><action>inner</action></substep>", ["work inner"]),
        ("<if selection='2'><action>two</action></if>", ["judge selection is 2"]),
        ("<WebSearch>python sets</WebSearch>", ["work Say what is known about: python sets"]),
        ("<WebSearch query='q' />", ["work Say what is known about: q"]),
        ("<invoke-protocol name='tidy_up' />", ["work Follow the protocol tidy_up"]),
        ("<elicit-required/><invoke-task>party-mode</invoke-task>", []),
        ("<invoke-task>Index the folder</invoke-task>", ["work Do the task Index the folder"]),
        ("<ask>Pick</ask><on-select key='n'>stop here</on-select><on-select key='x'>go</on-select>",
         ["ask Pick", "work stop here"]),
        ("<repeat for-each='parts'><action>build {{parts}}</action></repeat>", ["work build a; build b"]),
        ("<ask for_each='parts'>Name of {{parts}}?</ask>", ["ask Name of a?", "ask Name of b?"]),
        ("<guideline>be kind</guideline><note>n</note>some text", []),
        ("<display>shown</display>", []),
        ("<template-output>## A heading\nwrite **this** as a table of all the things there are</template-output>",
         ["write a_heading"]),
        ("<template-output>{{summary}} and more words that are no name at all</template-output>", ["write summary"]),
        ("<template-output></template-output>", ["write the_title"]),
        ("<action>Read {{gone}}</action><action>Go on<goto step='1' if='never == true'>x</goto></action>",
         ["work Read {{gone}}; Go on"]),
        ("<check><action>always</action></check>", ["work always"]),
    ],
)  # fmt: skip
def test_every_tag_of_the_vocabulary_does_its_part(body, needs):
    run = Drive(f"<step n='1' goal='the title'>{body}</step>", variables={"parts": ["a", "b"]})
    assert (run.needs, run.state.status) == (needs, "complete")


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        ("<halt>no key</halt>", "blocked", "no key"),
        ("<exit workflow='x'></exit>", "complete", "ended early in step 1: x"),
    ],
)
def test_tags_that_end_a_run(body, status, reason):
    run = Drive(f"<step n='1'>{body}</step><step n='2'><action>never</action></step>")
    assert (run.state.status, run.state.reason, run.needs) == (status, reason, [])


def test_headings_are_the_steps_of_a_workflow_without_tags():
    files = {
        "w/workflow.yaml": "name: p\ninstructions: i.md\ndefault_output_file: docs/p.md\n",
        "w/i.md": "# P\n\nIntro.\n\n## Step 1: Look\n\nLook around.\n\n## Step 2: Write\n\nWrite it down.\n",
    }
    made = compile_workflow(read_workflow("w/workflow.yaml", files))
    assert [op.kind for op in made.ops] == ["step", "discover", "do", "finish", "step", "do", "finish"]
    assert "Look around." in made.ops[2].text


def test_a_menu_of_step_files_that_branches_is_asked_and_followed():
    files = {
        "w/workflow.md": "---\nname: b\n---\nStart with `steps/step-01-choose.md`.\n",
        "w/steps/step-01-choose.md": (
            "# Choose\n\n[1] Fast\n[2] Slow\n\n- IF 1: load `./step-02a-fast.md`\n- IF 2: load `./step-02b-slow.md`\n"
        ),
        "w/steps/step-02a-fast.md": "# Fast\n\nRun, then load `./step-03-end.md`.\n",
        "w/steps/step-02b-slow.md": "# Slow\n\nWalk, then load `./step-03-end.md`.\n",
        "w/steps/step-03-end.md": "# End\n\nStop.\n",
    }
    made = compile_workflow(read_workflow("w/workflow.md", files))
    state, seen = RunState(workflow="b"), []
    while state.status == "running":
        at = made.step_at(state.at)
        while made.step_at(state.at) == at and state.status == "running":
            state, need = sequencer.advance(made, state, World())
            if isinstance(need, StepDone):
                break
            match need:
                case Discover():
                    state = outcomes.moved_on(state)
                case Ask():
                    state = outcomes.answered(made, state, "2", assumed=True)
                case Work(step=step):
                    seen.append(step)
                    state = outcomes.worked(state, "", step)
    assert seen == ["step 1 Choose", "step 2b Slow", "step 3 End"]
