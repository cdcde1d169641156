from storyloom.domain.workflow_catalog import find_workflows, pick

YAML = "name: x\ninstructions: i.md\n"
FILES = {
    "src/core/tasks/workflow.xml": "<task>",
    "src/core/tasks/shard.xml": '<task id="s">',
    "src/core/tasks/help.md": "help",
    "src/modules/bmm/workflows/2-plan/prd/workflow.yaml": YAML,
    "src/modules/bmm/workflows/2-plan/prd/workflow.md": "---\nname: prd\n---\n",
    "src/modules/bmm/workflows/2-plan/prd/instructions.md": "x",
    "src/modules/bmm/workflows/scan/workflows/deep-dive.yaml": YAML,
    "src/modules/bmm/workflows/research/workflow-market.md": "---\nname: market\n---\n",
    "src/modules/bmm/workflows/research/workflow-guide.md": "# How to write workflows",
    "src/modules/game/workflows/4-make/prd/workflow.yaml": YAML,
    "src/modules/game/workflows/5-more/prd/workflow.yaml": YAML,
    "src/modules/bmm/agents/workflow-builder.md": "---\nname: x\n---\n<agent name='W'>",
    "src/bmm-skills/plan/bmad-say/SKILL.md": "---\nname: bmad-say\n---\n",
    "src/bmm-skills/agents/bmad-agent-dev/SKILL.md": "---\nname: dev\n---\n",
    "src/bmm-skills/agents/bmad-agent-dev/customize.toml": "[agent]\n",
    "src/modules/bmm/workflows/make/templates/workflow.md": "---\nname: t\n---\n",
    "src/modules/bmm/workflows/status/workflow-status-template.yaml": "# t\n",
    "test/fixtures/workflow.yaml": YAML,
}


def test_workflows_of_every_shape_are_found_and_nothing_that_only_looks_like_one():
    assert [(f.id, f.module, f.role) for f in find_workflows(FILES)] == [
        ("bmm/bmad-say", "bmm", "workflow"),
        ("bmm/deep-dive", "bmm", "workflow"),
        ("bmm/market", "bmm", "workflow"),
        ("bmm/prd", "bmm", "workflow"),
        ("core/help", "core", "task"),
        ("core/shard", "core", "task"),
        ("game/4-make/prd", "game", "workflow"),
        ("game/5-more/prd", "game", "workflow"),
    ]


def test_installed_folders_of_all_names_are_found():
    for root in ("bmad", ".bmad", "_bmad"):
        (found,) = find_workflows({f"{root}/bmm/workflows/prd/workflow.yaml": YAML})
        assert (found.id, found.path) == ("bmm/prd", f"{root}/bmm/workflows/prd/workflow.yaml")


def test_skills_of_a_tool_are_found_once_with_the_module_that_the_installation_names():
    files = {
        ".claude/skills/bmad-prd/SKILL.md": "x",
        ".cursor/skills/bmad-prd/SKILL.md": "x",
        "_bmad/_config/skill-manifest.csv": 'canonicalId,name,description,module,path\na,bmad-prd,"d, e",bmm,p\n',
    }
    assert [(f.id, f.path) for f in find_workflows(files)] == [("bmm/bmad-prd", ".claude/skills/bmad-prd/SKILL.md")]


def test_a_folder_of_plain_workflows_is_a_module_by_its_outer_folder():
    assert [f.id for f in find_workflows({"workflows/planning/prd/workflow.yaml": YAML, "solo/workflow.md": ""})] == [
        "planning/prd", "project/solo",
    ]  # fmt: skip


def test_ids_are_unique_even_if_everything_is_there_twice():
    files = {f"{root}/core/workflows/a/workflow.yaml": YAML for root in ("bmad", "src")}
    assert [f.id for f in find_workflows(files)] == ["bmad/core/workflows/a", "src/core/workflows/a"]


def test_a_workflow_is_picked_by_id_name_path_or_folder():
    found = find_workflows(FILES)
    for asked in (
        "bmm/prd",
        "src/modules/bmm/workflows/2-plan/prd/workflow.yaml",
        "src/modules/bmm/workflows/2-plan/prd/",
    ):
        assert [f.id for f in pick(found, asked)] == ["bmm/prd"]
    assert [f.id for f in pick(found, "prd")] == ["bmm/prd", "game/4-make/prd", "game/5-more/prd"]
    assert pick(found, "none") == ()
