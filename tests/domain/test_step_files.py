import pytest
from storyloom.domain.references import References
from storyloom.domain.step_files import read_step, step_number

HOME = "m/workflows/plan"
FILES = References(
    [f"{HOME}/workflow.md"]
    + [f"{HOME}/steps/{n}.md" for n in ("step-01-start", "step-01b-continue", "step-02-body", "step-03-end")]
    + ["core/tasks/elicit.xml", "core/party/workflow.md"]
)
PAGE = """---
name: 'step-02-body'
description: 'Write the body'
nextStepFile: './step-03-end.md'
elicitTask: '{project-root}/_bmad/core/tasks/elicit.xml'
partyWorkflow: '{project-root}/_bmad/core/party/workflow.md'
outputFile: '{planning_artifacts}/plan.md'
---

# Step 2: The body

## STEP GOAL:

Write it.

### 4. Present MENU OPTIONS

Display: "**Select an Option:** [A] Ask deeper [P] Bring others [C] Continue"

#### Menu Handling Logic:

- IF A: Execute {elicitTask}, then show the menu again
- IF P: Execute {partyWorkflow}
- IF C: Save to {outputFile}, then read fully and follow {nextStepFile}
- IF Any other comments: answer, and show the menu again
"""


def read(text, name="step-02-body"):
    return read_step(f"{HOME}/steps/{name}.md", text, HOME, FILES)


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("step-01-init.md", "1"), ("step-01b-continue.md", "1b"), ("step-10.md", "10"), ("step-e-03-edit.md", "3"),
        ("v-02a-check.md", "2a"), ("step-oneshot.md", ""), ("step-v-02b-parity.md", "2b"), ("step-00-x.md", "0"),
        ("workflow.md", None), ("my-step-01.md", None), ("step-01.yaml", None), ("a-plan.md", None),
    ],
)  # fmt: skip
def test_the_number_is_in_the_name(name, number):
    assert step_number(name) == number


def test_a_step_file_says_what_it_is_where_it_leads_and_what_it_offers():
    step, notes = read(PAGE)
    assert notes == ()
    assert (step.number, step.title, step.line) == ("2", "Step 2: The body", 9)
    assert step.file == f"{HOME}/steps/step-02-body.md"
    assert step.next_file == f"{HOME}/steps/step-03-end.md"
    assert step.variables["outputFile"] == "{planning_artifacts}/plan.md"
    assert [(o.key, o.label, o.target) for o in step.menu] == [
        ("A", "Ask deeper", "core/tasks/elicit.xml"),
        ("P", "Bring others", "core/party/workflow.md"),
        ("C", "Continue", f"{HOME}/steps/step-03-end.md"),
    ]
    assert step.menu[2].handling == "Save to {outputFile}, then read fully and follow {nextStepFile}"


def test_menus_may_be_sections():
    text = """# S
[A] Dig deeper
[C] Continue - Save and go on

#### If 'A' (Dig deeper):

- Do more
- Ask "Accept? (y/n)"
- If no: keep it

#### If 'C' (Continue):

- Save
- Load `./step-03-end.md`

## NEXT STEP:

Something else about [C] here.
"""
    step, _ = read(text)
    assert [(o.key, o.label) for o in step.menu] == [("A", "Dig deeper"), ("C", "Continue - Save and go on")]
    assert "Save\n- Load" in step.menu[1].handling
    assert "Something else" not in step.menu[1].handling
    assert step.menu[1].target == f"{HOME}/steps/step-03-end.md"


def test_a_text_that_only_speaks_of_a_choice_has_no_menu():
    assert read("# S\n\nRemember to wait until [C] Continue was chosen.\n")[0].menu == ()
    assert read("# S\n\nNothing to choose.\n")[0].menu == ()


def test_the_way_on_is_read_from_the_text_when_the_frontmatter_is_silent():
    told = "# S\nUse `./step-01-start.md` as a model.\nThen read fully and follow `./step-03-end.md`.\n"
    below_next = "# S\nWhen rejected, follow `./step-01-start.md`.\n\n## NEXT\n\nRead `./step-03-end.md`\n\n## More\n"
    snapshot = "# S\n## NEXT\n\nRead fully and follow: `[[bmad-snapshot:step-03-end.md]]`.\n"
    for text in (told, below_next, snapshot):
        assert read(text)[0].next_file == f"{HOME}/steps/step-03-end.md"
    assert read("# S\nThe end; see step-99-none.md")[0].next_file == ""


def test_variants_of_the_next_step_are_read_too():
    assert read("---\nnextStepFile_modeA: '{workflow_path}/steps/step-03-end.md'\n---\n# S")[0].next_file.endswith(
        "03-end.md"
    )


def test_a_next_step_that_is_missing_or_outside_is_an_error_with_its_line():
    for target in ("./step-04-none.md", "../../../../../x/step-01-y.md", "https://example.org/step-01-x.md"):
        _, notes = read(f"---\nname: x\nnextStepFile: '{target}'\n---\n# S")
        assert [(n.line, n.severity) for n in notes] == [(3, "error")]


def test_a_broken_frontmatter_is_read_line_by_line_and_said_so():
    step, notes = read("---\nname: 'a' b\nnextStepFile: './step-03-end.md'\nnextStepFile: './x.md'\n---\n# S")
    assert step.next_file == f"{HOME}/steps/step-03-end.md"
    assert [(n.line, n.severity) for n in notes] == [(2, "warning")]


def test_the_title_is_the_first_heading_or_the_description():
    assert read("---\ndescription: 'Say it'\n---\n## STEP GOAL:\nx")[0].title == "Say it"
    assert read("no heading at all")[0].title == "step-02-body.md"


def test_a_choice_that_goes_on_without_naming_a_file_leads_to_the_next_step():
    page = "---\nnextStepFile: './step-03-end.md'\n---\n# S\n"
    alone, _ = read(page + "[C] Continue to the end\n")
    assert [(o.key, o.target) for o in alone.menu] == [("C", f"{HOME}/steps/step-03-end.md")]
    exits, _ = read(page + "- IF C (Exit): Say goodbye and exit\n- IF X: stop\n")
    assert [o.target for o in exits.menu] == ["", ""]


def test_of_several_ways_on_the_nearest_later_step_is_taken():
    text = "# S\n- If `lastStep = 1`, load `./step-02-body.md`\n- If `lastStep = 2`, load `./step-03-end.md`\n"
    assert read(text, "step-01b-continue")[0].next_file == f"{HOME}/steps/step-02-body.md"


def test_keys_may_be_small_letters_in_brackets():
    text = """# S
[a] Dig deeper
[c] Continue - to the end

- **[a]**: Load `{project-root}/_bmad/core/tasks/elicit.xml`, then come back
- **[c] Go on:** Load `./step-03-end.md`
- [x] done
"""
    assert [(o.key, o.label, o.target) for o in read(text)[0].menu] == [
        ("A", "Dig deeper", "core/tasks/elicit.xml"),
        ("C", "Continue - to the end", f"{HOME}/steps/step-03-end.md"),
    ]


def test_a_later_step_may_be_named_by_any_key():
    page = "---\nthisFile: './step-02-body.md'\nbuild: './step-03-end.md'\n---\n# S\nGo there."
    assert read(page)[0].next_file == f"{HOME}/steps/step-03-end.md"
