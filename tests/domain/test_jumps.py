import pytest
from storyloom.domain.instruction_steps import read_instructions
from storyloom.domain.jumps import goto_target, landing

TEXT = """<workflow>
<step n="1"><goto step="2">x</goto><goto>here</goto><goto anchor="#here"/></step>
<step n="2"><anchor id="here"/><substep n="2b">y</substep></step>
<step n="0.5">z</step>
</workflow>"""
STEPS = read_instructions(TEXT, "i").steps


def test_the_target_is_an_attribute_or_the_text():
    gotos = [n for n in STEPS[1].node.walk() if n.kind == "goto"]
    assert [goto_target(n) for n in gotos] == ["2", "here", "here"]


@pytest.mark.parametrize(
    ("target", "step", "inside"),
    [
        ("2", 2, None), ("2.0", 2, None), ("step_2", 2, None), ("Step 1", 1, None), ("'0.5'", 0, None),
        ("2b", 2, "substep"), ("here", 2, "anchor"), ("#here", 2, "anchor"), ("anchor with id here", 2, "anchor"),
    ],
)  # fmt: skip
def test_a_jump_lands_at_a_step_a_part_or_an_anchor(target, step, inside):
    found = landing(target, STEPS)
    assert found is not None
    assert (found.step, found.node.kind if found.node else None) == (step, inside)


@pytest.mark.parametrize("target", ["", "9", "step_9", "nowhere", "{{x}}"])
def test_a_jump_to_nowhere_lands_nowhere(target):
    assert landing(target, STEPS) is None
