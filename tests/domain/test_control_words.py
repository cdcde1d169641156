import pytest
from storyloom.domain.control_words import Control, read_control


@pytest.mark.parametrize(
    ("text", "control"),
    [
        ("Continue to step 2", Control("goto", "2")),
        ("Jump to Step 10 for workflow validation service", Control("goto", "10")),
        ("Skip directly to Step 4 (Plan the layout)", Control("goto", "4")),
        ("After sub-workflow completes, continue to Step 4", Control("goto", "4")),
        ("Continue to Step 0.5", Control("goto", "0.5")),
        ("Go back to step 2a", Control("goto", "2a")),
        ("GOTO mark_ready", Control("goto", "mark_ready")),
        ("HALT", Control("halt")),
        ("HALT: 'no stories'", Control("halt", text="no stories")),
        ("HALT - Run create-story first", Control("halt", text="Run create-story first")),
        ("HALT if tests cannot run", Control("halt", text="tests cannot run", condition="tests cannot run")),
        ("Exit workflow", Control("exit")),
        ("Exit workflow (already there)", Control("exit", text="already there")),
        ("Return to caller", Control("return")),
        ("Return to calling workflow", Control("return")),
        ("ASK which story is meant", Control("ask", text="which story is meant")),
        ("HALT and ask the user for a choice", Control("ask", text="ask the user for a choice")),
        ('Default mode = "interactive" if not specified', Control("set", "mode", "interactive", "default")),
        ("Set {{resume_mode}} = false", Control("set", "resume_mode", "false")),
        ("Set status to 'done'", Control("set", "status", "done")),
        ("Store 'x' as {{story_key}}", Control("set", "story_key", "x")),
        ("If none is left, HALT: nothing to do", Control("halt", text="nothing to do", condition="none is left")),
        ("If approved: Continue to step 3", Control("goto", "3", condition="approved")),
    ],
)  # fmt: skip
def test_a_sentence_that_only_steers_is_read(text, control):
    assert read_control(text) == control


@pytest.mark.parametrize(
    "text",
    [
        "Ask to use it, load if yes, else proceed to Step 4",
        "Return to appropriate step to address concerns",
        "Proceed directly to source code analysis",
        "Set up the project",
        "Halting problems are discussed in step 2",
        "Continue to step 2 or step 3 depending on the answer",
        "Exit workflow if the user wants to",
        "",
        "x" * 1000,
    ],
)
def test_a_sentence_that_says_more_stays_an_action(text):
    assert read_control(text) is None
