import pytest
from storyloom.domain.errors import DocumentError, UnsafePath
from storyloom.domain.references import References, is_remote

PACKAGE = References(
    [
        "src/core/tasks/help.xml",
        "src/modules/bmm/workflows/plan/workflow.yaml",
        "src/modules/bmm/workflows/plan/template.md",
        "src/modules/bmm/workflows/status/workflow.md",
        "src/skills/bmad-prd/SKILL.md",
        "docs/template.md",
    ]
)
HOME = "src/modules/bmm/workflows/plan"


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ("{installed_path}/template.md", f"{HOME}/template.md"),
        ("{skill-root}/template.md", f"{HOME}/template.md"),
        ("./template.md", f"{HOME}/template.md"),
        ("`template.md`", f"{HOME}/template.md"),
        ("../status/workflow.md", "src/modules/bmm/workflows/status/workflow.md"),
        ("{project-root}/_bmad/core/tasks/help.xml", "src/core/tasks/help.xml"),
        ("{project_root}/.bmad/bmm/workflows/plan/template.md", f"{HOME}/template.md"),
        ("{project-root}/{bmad_folder}/core/tasks/help.xml", "src/core/tasks/help.xml"),
        ("bmad/core/tasks/help.xml", "src/core/tasks/help.xml"),
        ("{project-root}/docs/template.md", "docs/template.md"),
        ("{project-root}/_bmad/bmm/template.md", None),
        ("{project-root}/template.md", None),
        ("missing.md", None),
    ],
)
def test_a_path_means_the_file_at_its_place_or_at_its_place_in_the_package(written, found):
    assert PACKAGE.find(written, HOME) == found


def test_an_installed_file_is_found_at_its_own_place():
    installed = References(["_bmad/bmm/x.md", "other/_bmad/bmm/x.md"])
    assert installed.find("{project-root}/_bmad/bmm/x.md", "") == "_bmad/bmm/x.md"


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ("{project-root}/_bmad/bmm/workflows/plan", f"{HOME}/workflow.yaml"),
        ("{project-root}/_bmad/bmm/workflows/status/", "src/modules/bmm/workflows/status/workflow.md"),
        ("{project-root}/_bmad/bmm/workflows/plan/workflow.yaml", f"{HOME}/workflow.yaml"),
        ("{project-root}/_bmad/bmm/workflows/status/workflow.yaml", "src/modules/bmm/workflows/status/workflow.md"),
        ("bmad-prd", "src/skills/bmad-prd/SKILL.md"),
        ("bmad-none", None),
    ],
)
def test_a_workflow_is_found_by_its_folder_and_a_skill_by_its_name(written, found):
    assert PACKAGE.find_workflow(written, HOME) == found


@pytest.mark.parametrize(
    "written", ["../../../../../../x.md", "{project-root}/../x.md", "/etc/passwd", "{project-root}/_bmad/../../x"]
)
def test_what_leads_out_is_refused(written):
    with pytest.raises(UnsafePath):
        PACKAGE.find(written, HOME)


@pytest.mark.parametrize(
    "written", ["https://example.org/t.md", "{project-root}/_bmad/{module}/x.md", "{unknown}/x.md"]
)
def test_addresses_and_open_names_are_refused(written):
    with pytest.raises(DocumentError):
        PACKAGE.find(written, HOME)


def test_addresses_are_known():
    assert all(map(is_remote, ["https://x", " HTTP://x", "//host/x", "file:///x"]))
    assert not any(map(is_remote, ["a/b", "./x", "{x}//y", "C:/x"]))
