from storyloom.domain.references import References
from storyloom.domain.static_references import static_references
from storyloom.domain.workflow_reader import read_workflow


def looked_up(path, files):
    references = References(files)
    return {(r.written, r.found) for r in static_references(read_workflow(path, files), references)}


def test_files_that_keys_and_tags_name_are_looked_up_and_those_made_later_are_not():
    files = {
        "w/a/workflow.yaml": """name: a
installed_path: "{project-root}/_bmad/w/a"
instructions: "{installed_path}/i.md"
guide: "{project-root}/_bmad/w/none.csv"
config_source: "{project-root}/_bmad/w/config.yaml"
names: "{project-root}/_bmad/_config/agents.csv"
output: "{project-root}/docs/x.md"
open: "{installed_path}/{kind}.md"
""",
        "w/a/i.md": "<workflow><step n='1'><invoke-workflow path='{project-root}/_bmad/w/b'/></step></workflow>",
        "w/b/workflow.yaml": "name: b\n",
    }
    assert looked_up("w/a", files) == {
        ("{installed_path}/i.md", "w/a/i.md"),
        ("{project-root}/_bmad/w/none.csv", ""),
        ("{project-root}/_bmad/w/b", "w/b/workflow.yaml"),
    }


def test_files_that_steps_and_skills_name_are_looked_up():
    steps = {
        "m/workflow.md": "---\nname: m\n---\nLoad `steps/step-01-a.md`",
        "m/steps/step-01-a.md": "---\nnextStepFile: './step-02-b.md'\noutputFile: './out.md'\n"
        "workflow_path: '{project-root}/_bmad/m'\nrules: '{workflow_path}/data/rules.csv'\n---\n# A",
        "m/steps/step-02-b.md": "# B\nRead `../data/more.md`.\nUse e.g. `data/example.md`\nand `data/none.md`.",
        "m/data/rules.csv": "",
        "m/data/more.md": "",
    }
    assert looked_up("m", steps) == {
        ("./step-02-b.md", "m/steps/step-02-b.md"),
        ("{installed_path}/data/rules.csv", "m/data/rules.csv"),
        ("../data/more.md", "m/data/more.md"),
        ("data/none.md", ""),
    }
    skill = {
        "s/SKILL.md": "---\nname: s\n---\nSee {skill-root}/references/x.md and `[[bmad-snapshot:y.md]]`.",
        "s/y.md": "",
    }
    assert looked_up("s", skill) == {("{skill-root}/references/x.md", ""), ("y.md", "s/y.md")}
