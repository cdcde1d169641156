import os

import pytest
from storyloom.blocks.workflow_library import MAX_FILE_BYTES, WorkflowLibrary
from storyloom.domain.errors import DocumentError, InputError

YAML = "name: {0}\ndescription: d\ninstructions: '{{installed_path}}/i.md'\n"
STEPS = "<workflow><step n='1' goal='Go'>x</step></workflow>"
AGENT = """agent:
  metadata: {{id: {0}, name: N, title: T, icon: i}}
  persona: {{role: r, identity: i, communication_style: c, principles: p}}
  menu:
    - {{trigger: go, description: d, workflow: "{{project-root}}/_bmad/{1}/workflow.yaml"}}
"""


def write(root, files):
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())


def workflow(name):
    return {f"{name}/workflow.yaml": YAML.format(name.rsplit("/", 1)[-1]), f"{name}/i.md": STEPS}


def test_a_package_is_read_with_workflows_agents_and_who_offers_what(tmp_path):
    write(tmp_path, workflow("src/bmm/workflows/prd") | workflow("src/bmm/workflows/other"))
    write(tmp_path, {"src/bmm/agents/pm.agent.yaml": AGENT.format("pm", "bmm/workflows/prd")})
    write(tmp_path, {"src/bmm/agents/bad.agent.yaml": "agent: 1", "src/bmm/module.yaml": "a: {default: b}"})
    library = WorkflowLibrary.open(tmp_path)
    assert [f.id for f in library.found] == ["bmm/other", "bmm/prd"]
    assert [a.id for a in library.agents] == ["pm"]
    assert [(n.path, n.line) for n in library.agent_notes] == [("src/bmm/agents/bad.agent.yaml", 1)]
    prd = library.workflow(library.find("prd"))
    assert (prd.name, prd.persona, [s.title for s in prd.steps]) == ("prd", "pm", ["Go"])
    assert library.workflow(library.find("other")).persona == ""
    assert library.config(library.find("prd")) == {"a": "b"}


def test_the_agent_of_the_same_module_offers_a_workflow_and_of_several_nobody(tmp_path):
    for name in ("a", "b"):
        write(tmp_path, workflow(f"src/{name}/workflows/w"))
    write(tmp_path, workflow("src/core/workflows/shared"))
    for agent, module, target in (
        ("x", "a", "a/workflows/w"),
        ("y", "b", "a/workflows/w"),
        ("z", "b", "b/workflows/w"),
    ):
        text = AGENT.format(agent, target).replace("icon: i", f"icon: i, module: {module}")
        text += '    - {trigger: s, description: d, exec: "{project-root}/_bmad/core/workflows/shared/workflow.yaml"}\n'
        write(tmp_path, {f"src/{module}/agents/{agent}.agent.yaml": text})
    library = WorkflowLibrary.open(tmp_path)
    offered = {f.id: library.workflow(f).persona for f in library.found}
    assert offered == {"a/w": "x", "b/w": "z", "core/shared": ""}


@pytest.mark.parametrize("root", ["bmad", ".bmad", "_bmad"])
def test_in_a_project_only_the_methods_own_folders_are_read(tmp_path, root):
    write(tmp_path, workflow(f"{root}/bmm/workflows/prd") | workflow("src/mine") | workflow("app/workflows/own"))
    write(tmp_path, {".claude/skills/say/SKILL.md": "---\nname: say\n---\nSay", ".claude/secrets.json": "{}"})
    library = WorkflowLibrary.open(tmp_path)
    assert WorkflowLibrary.is_installed(tmp_path)
    assert sorted(f.name for f in library.found) == ["prd", "say"]
    assert not any(path.startswith(("src", "app", ".claude/secrets")) for path in library.files)


def test_links_that_lead_out_huge_binary_and_foreign_files_are_left_and_told(tmp_path):
    outside = tmp_path / "outside.md"
    outside.write_text("secret")
    root = tmp_path / "pack"
    write(root, workflow("w") | {"w/nul.md": b"a\0b", "w/latin.md": b"\xff\xfe", "w/x.png": b"png", "w/real.md": "x"})
    with (root / "w/huge.md").open("wb") as huge:
        huge.truncate(MAX_FILE_BYTES + 1)
    (root / "w/out.md").symlink_to(outside)
    (root / "w/in.md").symlink_to(root / "w/real.md")
    (root / "w/loop").symlink_to(root)
    os.mkfifo(root / "w/pipe.md")
    library = WorkflowLibrary.open(root)
    assert sorted(library.files) == ["w/i.md", "w/in.md", "w/real.md", "w/workflow.yaml"]
    told = {note.path: note.message for note in library.skipped}
    assert set(told) == {"w/huge.md", "w/latin.md", "w/nul.md", "w/out.md", "w/pipe.md"}
    assert "MB" in told["w/huge.md"]
    assert "leads out" in told["w/out.md"]


def test_what_is_no_library_is_refused(tmp_path, monkeypatch):
    with pytest.raises(InputError, match="no folder"):
        WorkflowLibrary.open(tmp_path / "none")
    write(tmp_path, {f"{n}.md": "x" for n in range(5)})
    monkeypatch.setattr("storyloom.blocks.workflow_library.MAX_FILES", 4)
    with pytest.raises(InputError, match="more than 4 texts"):
        WorkflowLibrary.open(tmp_path)


def test_asking_for_a_workflow_that_is_not_there_or_not_clear_is_refused(tmp_path):
    write(tmp_path, workflow("src/a/workflows/w") | workflow("src/b/workflows/w"))
    library = WorkflowLibrary.open(tmp_path)
    assert library.find("a/w").path == "src/a/workflows/w/workflow.yaml"
    with pytest.raises(InputError, match="any of: a/w, b/w"):
        library.find("w")
    with pytest.raises(InputError, match="no workflow 'none'"):
        library.find("none")


def test_a_broken_workflow_is_told_when_it_is_read(tmp_path):
    write(tmp_path, {"w/workflow.yaml": "name: x\ninstructions: i\nname: y\n"})
    library = WorkflowLibrary.open(tmp_path)
    with pytest.raises(DocumentError, match=r"w/workflow\.yaml:3"):
        library.workflow(library.found[0])
