"""The project file is read with the line of every mistake."""

from pathlib import Path

import pytest
from storyloom.blocks.project_config import config_text, parse_project_config, read_project_config
from storyloom.domain.errors import ConfigError
from storyloom.domain.settings import ProjectConfig


def problem(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        parse_project_config(text, "f.yaml")
    return str(caught.value)


def test_no_file_means_all_defaults(tmp_path: Path):
    assert read_project_config(tmp_path) == ProjectConfig()


def test_a_misspelt_key_names_its_line_and_the_nearest_valid_key():
    message = problem("project:\n  name: x\nsettings:\n  llm_budget_usd: 5\n  max_concurent_agents: 2\n")
    assert "f.yaml:5" in message
    assert "'max_concurrent_agents'" in message


def test_a_misspelt_section_names_the_nearest_section():
    assert "did you mean 'settings'" in problem("setings: {}\n")


def test_a_value_out_of_range_names_its_line():
    assert "f.yaml:2: settings.escalation_threshold" in problem("settings:\n  escalation_threshold: 7\n")


def test_a_secret_in_the_file_is_refused_without_being_repeated():
    message = problem("settings:\n  api_key: hunter2hunter2\n")
    assert "secrets do not belong" in message
    assert "hunter2" not in message


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a: &x [1]\nb: *x\n", 2),
        ("project: {}\nproject: {}\n", 2),
        ("settings:\n\tx: 1\n", 2),
        ("- 1\n", 1),
    ],
)
def test_yaml_that_is_wrong_or_hostile_is_refused_with_its_line(text: str, line: int):
    assert f"f.yaml:{line}" in problem(text)


def test_a_file_that_is_not_utf8_is_refused_with_its_line(tmp_path: Path):
    (tmp_path / ".bmad").mkdir()
    (tmp_path / ".bmad" / "project-config.yaml").write_bytes(b"project:\n  name: \xff\n")
    with pytest.raises(ConfigError, match=r":2: the file is not UTF-8"):
        read_project_config(tmp_path)


def test_settings_written_are_the_settings_read():
    config = parse_project_config("agents:\n  amelia: a/b\nsettings:\n  llm_budget_usd: 4.5\n", "f")
    assert parse_project_config(config_text(config), "f") == config
