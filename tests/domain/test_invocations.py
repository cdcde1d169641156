from storyloom.domain.invocations import invocation_cycles, invocations, invoked_path
from storyloom.domain.references import References
from storyloom.domain.workflow_reader import read_workflow


def library(**starts):
    files = {}
    for name, targets in starts.items():
        files[f"w/{name}/workflow.yaml"] = f"name: {name}\ninstructions: i.md\nnext: '../{targets[:1]}'\n"
        tags = "".join(f"\n<invoke-workflow path='../{t}'/>" for t in targets)
        files[f"w/{name}/i.md"] = f"<workflow><step n='1'>{tags}</step></workflow>"
    references = References(files)
    return {p: read_workflow(p, files) for p in files if p.endswith(".yaml")}, references


def test_workflows_that_start_each_other_are_errors_with_the_way():
    workflows, references = library(a="b", b="cd", c="a", d="")
    notes = invocation_cycles(workflows, references)
    assert [(n.path, n.line, n.message) for n in notes] == [
        ("w/a/workflow.yaml", 2, "the workflow starts itself again: a → b → c → a"),
        ("w/b/workflow.yaml", 2, "the workflow starts itself again: b → c → a → b"),
        ("w/c/workflow.yaml", 2, "the workflow starts itself again: c → a → b → c"),
    ]


def test_a_tree_of_workflows_is_no_cycle():
    workflows, references = library(a="bc", b="d", c="d", d="")
    assert invocation_cycles(workflows, references) == ()
    assert [target for _, target in invocations(workflows["w/a/workflow.yaml"], references)] == [
        "w/b/workflow.yaml", "w/c/workflow.yaml",
    ]  # fmt: skip


def test_the_name_is_an_attribute_or_the_first_line_of_the_text():
    files = {
        "w/workflow.yaml": "name: w\ninstructions: i.md\n",
        "w/i.md": "<workflow><step n='1'><invoke-workflow>\nworkflow: {x}/y\nmore</invoke-workflow>"
        "<invoke-workflow path='z'><param>mode: data</param></invoke-workflow><invoke-workflow/></step></workflow>",
    }
    nodes = [n for n in read_workflow("w", files).steps[0].node.walk() if n.kind == "invoke-workflow"]
    assert [invoked_path(n) for n in nodes] == ["{x}/y", "z", ""]
