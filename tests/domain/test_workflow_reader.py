import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from storyloom.domain.errors import DocumentError
from storyloom.domain.workflow_catalog import find_workflows
from storyloom.domain.workflow_reader import MAX_CHARACTERS, read_workflow, refuse_errors

YAML = """name: draft-note
description: "Drafts a note"
agent: mary
installed_path: "{project-root}/_bad/x"
instructions: "{installed_path}/instructions.md"
template: "{installed_path}/template.md"
validation: "{installed_path}/checklist.md"
note_dir: "{config_source}:notes"
variables:
  title: ""
input_file_patterns:
  epics: {whole: "*epic*.md", load_strategy: FULL_LOAD}
default_output_file: "{note_dir}/{{title}}.md"
"""
STEPS = "# T\n<workflow>\n<critical>rule</critical>\n<step n='2'>b</step>\n<step n='1' goal='A'>a</step>\n</workflow>\n"
NOTE = {
    "w/note/workflow.yaml": YAML,
    "w/note/instructions.md": STEPS,
    "w/note/template.md": "# {{title}}",
    "w/note/checklist.md": "- [ ] ok",
}


def with_steps(body, **more):
    return {**NOTE, "w/note/instructions.md": f"<workflow>\n{body}\n</workflow>", **more}


def errors(workflow):
    return [(n.path.rsplit("/", 1)[-1], n.line, n.message) for n in workflow.notes if n.severity == "error"]


def test_a_yaml_workflow_is_read_with_its_pages_and_one_flat_namespace():
    workflow = read_workflow("w/note", NOTE)
    assert (workflow.name, workflow.description, workflow.kind, workflow.persona) == (
        "draft-note", "Drafts a note", "xml", "mary",
    )  # fmt: skip
    assert (workflow.folder, workflow.path) == ("w/note", "w/note/workflow.yaml")
    assert (workflow.template, workflow.checklist) == ("# {{title}}", "- [ ] ok")
    assert [(s.number, s.title) for s in workflow.steps] == [("1", "A"), ("2", "")]
    assert workflow.critical == ("rule",)
    assert workflow.variables["title"] == ""
    assert workflow.variables["note_dir"] == "{config_source}:notes"
    assert workflow.input_patterns == {"epics": {"whole": "*epic*.md", "load_strategy": "FULL_LOAD"}}
    assert workflow.notes == ()
    assert read_workflow("w/note/workflow.yaml", NOTE) == workflow
    assert refuse_errors(workflow) is workflow


def test_prose_instructions_make_a_prose_workflow():
    workflow = read_workflow("w/note", {**NOTE, "w/note/instructions.md": "# T\n## Step 1: Do\nx\n## Step 2: End\n"})
    assert (workflow.kind, [s.title for s in workflow.steps]) == ("prose", ["Do", "End"])


def test_instructions_may_be_xml_or_a_list_in_the_yaml():
    xml = {**NOTE, "w/note/workflow.yaml": YAML.replace("instructions.md", "i.xml"), "w/note/i.xml": STEPS}
    assert [s.number for s in read_workflow("w/note", xml).steps] == ["1", "2"]
    listed = read_workflow("w", {"w/workflow.yaml": "name: x\ninstructions:\n  - First\n  - Second\n"})
    assert [s.title for s in listed.steps] == ["First", "Second"]


def test_false_and_missing_pages_are_different_things():
    action = read_workflow(
        "w/note", {**NOTE, "w/note/workflow.yaml": YAML.replace('"{installed_path}/template.md"', "false")}
    )
    assert (action.template, action.notes) == ("", ())
    gone = {path: text for path, text in NOTE.items() if path.endswith((".yaml", "instructions.md"))}
    notes = read_workflow("w/note", gone).notes
    assert [(n.line, n.severity) for n in notes] == [(6, "error"), (7, "warning")]


STEP_FILES = {
    "m/plan/workflow.md": "---\nname: plan\n---\n# Plan\nGoal.\nLoad `steps-c/step-01-a.md` to begin.\n",
    "m/plan/steps-c/step-01-a.md": "---\nnextStepFile: './step-02-b.md'\n---\n# A\n[C] On\n- IF C: {nextStepFile}",
    "m/plan/steps-c/step-10-c.md": "# C\n",
    "m/plan/steps-c/step-02-b.md": "# B\nThen follow `./step-10-c.md`\n",
    "m/plan/steps-c/notes.md": "not a step",
    "m/plan/steps-v/step-v-01-x.md": "# X\n",
}


def test_a_step_file_workflow_has_the_files_of_the_folder_that_it_names():
    workflow = read_workflow("m/plan", STEP_FILES)
    assert (workflow.kind, workflow.name) == ("steps", "plan")
    assert [(s.number, s.title, s.next_file.rsplit("/", 1)[-1]) for s in workflow.steps] == [
        ("1", "A", "step-02-b.md"), ("2", "B", "step-10-c.md"), ("10", "C", ""),
    ]  # fmt: skip
    assert workflow.steps[0].menu[0].target == "m/plan/steps-c/step-02-b.md"
    assert "Goal." in workflow.preamble
    assert workflow.notes == ()


def test_all_groups_are_read_when_none_is_named_and_steps_may_lie_beside():
    files = {**STEP_FILES, "m/plan/workflow.md": "---\nname: plan\n---\n# Plan\n"}
    assert [s.title for s in read_workflow("m/plan", files).steps] == ["A", "B", "C", "X"]
    beside = {"s/SKILL.md": "---\nname: s\n---\nRead fully and follow: `./step-01-a.md`", "s/step-01-a.md": "# A"}
    assert [(read_workflow("s", beside).kind, s.title) for s in read_workflow("s", beside).steps] == [("steps", "A")]


def test_the_yaml_may_point_at_a_step_file_workflow():
    files = {
        **STEP_FILES,
        "m/plan/workflow.yaml": "name: plan-yaml\ninstructions: '{installed_path}/workflow.md'\nkeep: 1\n",
    }
    workflow = read_workflow("m/plan", files)
    assert (workflow.kind, workflow.name, workflow.variables["keep"]) == ("steps", "plan-yaml", 1)


SKILL = {
    "skills/say/SKILL.md": "---\nname: say\ndescription: d\n---\n# Say\nSay {workflow.what}.\n",
    "skills/say/customize.toml": '[workflow]\nwhat = "hello"\nfacts = ["a"]\n',
    "_bmad/custom/say.toml": '[workflow]\nfacts = ["b"]\n',
    "_bmad/custom/say.user.toml": '[workflow]\nwhat = "moin"\n',
}


def test_a_skill_is_one_step_with_its_customization_in_layers():
    workflow = read_workflow("skills/say", SKILL)
    assert (workflow.kind, workflow.name, len(workflow.steps)) == ("skill", "say", 1)
    assert workflow.variables["workflow"] == {"what": "moin", "facts": ["a", "b"]}
    assert workflow.variables["skill-name"] == "say"
    assert workflow.steps[0].node.inner_text() == "# Say\nSay {workflow.what}."


def test_a_skill_may_send_its_reader_on_to_tags_or_steps():
    tagged = {"s/SKILL.md": "---\nname: s\n---\nFollow the instructions in ./workflow.md.", "s/workflow.md": STEPS}
    assert [(read_workflow("s", tagged).kind, s.number) for s in read_workflow("s", tagged).steps] == [
        ("xml", "1"),
        ("xml", "2"),
    ]
    further = {**tagged, "s/workflow.md": "Read and follow `./instructions.md`", "s/instructions.md": STEPS}
    assert [s.number for s in read_workflow("s", further).steps] == ["1", "2"]


def test_files_that_send_their_reader_round_in_a_circle_are_an_error():
    files = {
        "s/SKILL.md": "---\nname: s\n---\nFollow ./workflow.md",
        "s/workflow.md": "Load workflow-b.md",
        "s/workflow-b.md": "x\nFollow workflow.md",
    }
    assert errors(read_workflow("s", files)) == [("workflow-b.md", 2, "workflow-b.md leads back to workflow.md")]


def test_tasks_are_workflows_too():
    files = {"core/tasks/t.xml": '<task id="t" name="T"><flow><step n="1">a</step></flow></task>'}
    workflow = read_workflow("core/tasks/t.xml", files)
    assert (workflow.name, workflow.kind, len(workflow.steps)) == ("t", "xml", 1)


@pytest.mark.parametrize(
    ("yaml", "line", "says"),
    [
        ("name: x\nname: y\n", 2, "given twice"),
        ("name: x\n\tinstructions: i\n", 2, "tab"),
        ("a: &a [x]\nb: *a\n", 2, "alias"),
        ("- a\n", 1, "key: value"),
        ("description: nobody\n", 1, "no name"),
        ("x: " + "[" * 99, 1, "deep"),
    ],
)
def test_a_workflow_file_that_cannot_be_read_is_refused_with_file_and_line(yaml, line, says):
    with pytest.raises(DocumentError, match=says) as caught:
        read_workflow("w", {"w/workflow.yaml": yaml})
    assert (caught.value.path, caught.value.line) == ("w/workflow.yaml", line)


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("template", "https://example.org/t.md", "is an address"),
        ("template", "{project-root}/../../etc/passwd", "leads out"),
        ("instructions", "../../../../x.md", "leads out"),
        ("instructions", "{installed_path}/none.md", "does not exist"),
        ("instructions", "{installed_path}/workflow.yaml", "names itself"),
        ("instructions", "false", "names no instructions"),
        ("note_dir", "{note_dir}/x", "leads back to itself"),
    ],
)
def test_what_keeps_a_workflow_from_running_is_an_error_with_its_line(key, value, says):
    lines = ["name: n", "instructions: '{installed_path}/instructions.md'", "template: false", "note_dir: x"]
    at = next(i for i, line in enumerate(lines) if line.startswith(key))
    lines[at] = f"{key}: '{value}'"
    workflow = read_workflow("w/note", {**NOTE, "w/note/workflow.yaml": "\n".join(lines)})
    assert [(path, line, says in message) for path, line, message in errors(workflow)] == [
        ("workflow.yaml", at + 1, True)
    ]
    with pytest.raises(DocumentError, match=says):
        refuse_errors(workflow)


def test_variables_that_lead_back_to_themselves_are_errors_wherever_they_stand():
    yaml = YAML + "a: '{b}'\nb: '{c-d}'\nc_d: '{a}'\n"
    found = errors(read_workflow("w/note", {**NOTE, "w/note/workflow.yaml": yaml}))
    assert [line for _, line, _ in found] == [14, 15, 16]


def test_a_goto_to_nowhere_and_a_workflow_that_invokes_itself_are_errors_with_their_lines():
    body = "<step n='1'>\n<goto step='9'/>\n<invoke-workflow path='{project-root}/_bmad/w/note/workflow.yaml'/></step>"
    assert errors(read_workflow("w/note", with_steps(body))) == [
        ("instructions.md", 3, "goto '9' leads nowhere: no step and no anchor has this name"),
        ("instructions.md", 4, "the workflow invokes itself"),
    ]
    assert (
        errors(read_workflow("w/note", with_steps("<step n='1'><goto>later</goto><anchor id='later'/></step>"))) == []
    )


@pytest.mark.parametrize(
    ("tag", "severity"),
    [
        ("<invoke-workflow path='../other/workflow.yaml'/>", "warning"),
        ("<invoke-workflow>{later}/workflow.yaml</invoke-workflow>", "warning"),
        ("<invoke-workflow path='../../../x/workflow.yaml'/>", "error"),
        ("<invoke-workflow path='https://example.org/workflow.yaml'/>", "error"),
        ("<invoke-workflow></invoke-workflow>", "error"),
        ("<template-output file='https://example.org/x'>a</template-output>", "error"),
    ],
)
def test_what_a_step_names_is_looked_at(tag, severity):
    notes = read_workflow("w/note", with_steps(f"<step n='1'>{tag}</step>")).notes
    assert [(n.line, n.severity) for n in notes] == [(2, severity)]


def test_an_invoked_workflow_may_be_named_by_a_variable():
    files = with_steps("<step n='1'><invoke-workflow path='{other}'/></step>", **{"w/o/workflow.yaml": "name: o"})
    files["w/note/workflow.yaml"] = YAML + "other: '{project-root}/_bmad/w/o'\n"
    assert read_workflow("w/note", files).notes == ()


def test_huge_files_empty_workflows_and_missing_ones_are_refused():
    with pytest.raises(DocumentError, match="characters are more than"):
        read_workflow("w/note", {**NOTE, "w/note/instructions.md": "x" * (MAX_CHARACTERS + 1)})
    with pytest.raises(DocumentError, match="no workflow in 'nowhere'"):
        read_workflow("nowhere", NOTE)
    assert errors(read_workflow("w/note", {**NOTE, "w/note/instructions.md": " \n"})) == [
        ("instructions.md", 1, "the workflow has no steps")
    ]


def test_a_broken_frontmatter_or_customization_is_told():
    assert [n.severity for n in read_workflow("s", {"s/SKILL.md": "---\na: [\n---\nBody"}).notes] == ["warning"]
    with pytest.raises(DocumentError) as caught:
        read_workflow("skills/say", {**SKILL, "_bmad/custom/say.toml": "[workflow]\nx = \n"})
    assert (caught.value.path, caught.value.line) == ("_bmad/custom/say.toml", 2)


HOSTILE = {
    "paths": "/a" * 200_000 + "step-", "steps": "step-" * 50_000, "labels": "[C] Continue " * 20_000,
    "blanks": "# a" + " " * 200_000 + "b", "if": "- IF C" + " " * 200_000,
    "next": "# next\nfollow step-01-a.md\n" * 5_000,
    "gotos": "<step n='1'>" + "<goto step='9'/>" * 10_000, "headings": "## Step 1: a\n<note>x</note>\n" * 5_000,
    "keys": "---\n" + "".join(f"a{n}: '{{a{n + 1}}}'\n" for n in range(2_000)) + "---\n", "breaks": "\n" * 200_000,
}  # fmt: skip


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_texts_do_not_hold_the_reader_up(name):
    text = HOSTILE[name]
    read_workflow("w", {"w/workflow.md": text, "w/steps/step-01-a.md": text})
    read_workflow("w/note", {**NOTE, "w/note/instructions.md": text})


@settings(deadline=None, max_examples=60)
@given(st.text(max_size=300), st.sampled_from(["instructions.md", "template.md"]))
def test_whatever_an_instruction_file_holds_the_workflow_can_be_looked_at(text, name):
    read_workflow("w/note", {**NOTE, f"w/note/{name}": text})


def test_a_step_file_workflow_has_the_template_that_its_first_step_names():
    files = dict(STEP_FILES)
    files["m/plan/steps-c/step-01-a.md"] = "---\nplanTemplate: '../plan-template.md'\n---\n# A"
    files["m/plan/plan-template.md"] = "# {{title}}"
    assert read_workflow("m/plan", files).template == "# {{title}}"
    assert read_workflow("m/plan", STEP_FILES).template == ""


def test_a_workflow_of_version_4_is_found_and_refused_with_the_line_of_its_sequence():
    text = "# old\nworkflow:\n  id: greenfield\n\n  # how\n  sequence:\n    - agent: analyst\n"
    files = {".bmad-core/workflows/greenfield.yaml": text, "w/plan/workflow.yaml": text.replace("\n", "\r\n")}
    assert {found.path for found in find_workflows(files)} == set(files)
    for path in files:
        with pytest.raises(DocumentError, match=rf"{re.escape(path)}:6: .*version 4 .*not read"):
            read_workflow(path, files)


def test_a_file_that_only_mentions_a_sequence_is_no_workflow():
    assert (
        find_workflows({"a/ci.yaml": "workflow:\n  rules: []\nsequence: 1\n", "b/x.yaml": "a:\n  sequence: 1\n"}) == ()
    )
