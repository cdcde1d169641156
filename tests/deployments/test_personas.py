"""A model is given to a persona that is there, or the project file is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from storyloom.blocks.project_config import read_project_config
from storyloom.cli.init import PERSONAS
from storyloom.deployments.personas import known_personas, require_known_personas
from storyloom.domain.errors import ConfigError


def check(repository: Path, agents: str) -> None:
    (repository / ".bmad").mkdir(exist_ok=True)
    (repository / ".bmad" / "project-config.yaml").write_text(f"agents:\n{agents}", encoding="utf-8")
    require_known_personas(repository, read_project_config(repository))


def test_whom_init_names_and_who_decides_are_known(tmp_path: Path):
    check(tmp_path, "".join(f"  {name}: light\n" for name in (*PERSONAS, "dana", "expert", "git-manager", "gil")))


@pytest.mark.parametrize(
    ("name", "near"), [("ameila", "amelia"), ("Mary", "mary"), ("developer", "amelia"), ("pm", "john")]
)
def test_a_name_that_nobody_has_is_refused_with_its_line_and_the_nearest(tmp_path: Path, name: str, near: str):
    with pytest.raises(ConfigError, match=rf"project-config\.yaml:3: .*{name!r}; did you mean {near!r}\?"):
        check(tmp_path, f"  mary: light\n  {name}: heavy\n")


def test_every_wrong_name_is_told_at_once_in_the_order_of_the_file(tmp_path: Path):
    with pytest.raises(ConfigError) as raised:
        check(tmp_path, "  zzz: light\n  aaa: light\n")
    assert [line.split(": ")[0][-1] for line in str(raised.value).splitlines()] == ["2", "3"]
    assert "amelia, bob, dana" in raised.value.remedy


def test_a_persona_of_the_projects_own_and_an_installed_agent_are_known(tmp_path: Path):
    own = tmp_path / ".bmad" / "method" / "personas"
    own.mkdir(parents=True)
    (own / "zoe.agent.yaml").write_text("agent: {}")
    installed = tmp_path / "_bmad" / "bmm" / "agents"
    installed.mkdir(parents=True)
    (installed / "dev.md").write_text(
        '# dev\n<agent id="bmm/agents/dev.md" name="Devon" title="Developer">\n'
        "<persona><role>r</role></persona>\n</agent>\n"
    )
    assert {"zoe", "dev", "devon"} <= known_personas(tmp_path)
    check(tmp_path, "  zoe: light\n  dev: heavy\n")
