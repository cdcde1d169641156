"""The project file is read with the line of every mistake."""

import os
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


@pytest.mark.parametrize("name", ["storyloom/main", "storyloom/1", "storyloom/epic-1", "bmad", "x/storyloom", "1-1-x"])
def test_an_integration_branch_that_no_story_needs_is_taken(name: str):
    text = f"settings:\n  integration_branch: {name}\n"
    assert parse_project_config(text, "f").settings.integration_branch == name


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("settings:\n  planning_folder: ../../etc\n", "f.yaml:2: settings.planning_folder: this is no folder inside"),
        ("settings:\n  stories_folder: /etc\n", "f.yaml:2: settings.stories_folder: this is no folder inside"),
        ("settings:\n  integration_branch: a b\n", "f.yaml:2: settings.integration_branch: git does not take"),
        ("settings:\n  integration_branch: -x\n", "f.yaml:2"),
        ("settings:\n  integration_branch: storyloom\n", "f.yaml:2: settings.integration_branch: this name stands in"),
        ("settings:\n  integration_branch: storyloom/1-1-page\n", "f.yaml:2: settings.integration_branch: this name"),
        ("settings:\n  integration_branch: storyloom/1-2a-é/x\n", "f.yaml:2: settings.integration_branch: this name"),
        ("gates:\n  phases: [planing]\n", "f.yaml:2: gates.phases: there is no phase 'planing'"),
        ("gates:\n  phases: planning\n", "f.yaml:2: gates.phases: a list is needed, such as [one, two]"),
        ("agents:\n  foo: [a, 1]\n", "f.yaml:2: agents.foo: the name of a model or a list of names is needed."),
        ("agents: [a]\n", "f.yaml:1: agents: keys are needed below it"),
        ("settings: 5\n", "f.yaml:1: settings: keys are needed below it (found 5)"),
        ("settings:\n  llm_budget_usd: viel\n", "f.yaml:2: settings.llm_budget_usd: a number is needed (found 'viel')"),
        ("settings:\n  llm_budget_usd:\n", "f.yaml:2: settings.llm_budget_usd: a number is needed (found nothing)"),
        ("settings:\n  auto_merge_prs: maybe\n", "f.yaml:2: settings.auto_merge_prs: true or false is needed"),
        ("? [a]\n: b\n", "f.yaml:1: this is not valid YAML: a key must be a plain word"),
        ("project:\n  name: a\x00b\n", "f.yaml:2: a control character is not allowed"),
        ("a: " + "[" * 500 + "]" * 500, "f.yaml:1: this is not valid YAML: nested more than 20 deep"),
        ("project:\n\tname: x\n", "f.yaml:2: this is not valid YAML: a tab is used for indentation"),
        ("gates:\n  approvals: 2\n", "gates.approvals is 2, but 0 of the people may approve."),
    ],
)
def test_a_wrong_value_names_its_line_and_what_is_needed(text: str, said: str):
    message = problem(text)
    assert said in message
    assert "Mend that line." in message or "docs/configuration.md" in message or "Remove it." in message


def test_a_value_that_looks_like_a_key_is_refused_without_being_repeated():
    message = problem("agents:\n  amelia: sk-ant-api03-abcdefghijklmnop\n")
    assert "f.yaml:2: this value looks like a secret" in message
    assert "abcdefgh" not in message


def test_a_mistake_is_told_once_however_many_ways_there_are_to_read_it():
    assert problem("agents:\n  foo: [1, 2, 3]\n").count("agents.foo") == 1


def test_a_section_whose_keys_are_all_commented_out_says_nothing():
    assert parse_project_config("project:\nsettings:\n  # max_turns: 3\nagents: ~\n", "f") == ProjectConfig()


def test_a_folder_may_be_written_as_a_shell_completes_it():
    config = parse_project_config("settings:\n  planning_folder: ./planning/\n", "f")
    assert config.settings.planning_folder == "planning"


def config_file(root: Path) -> Path:
    (root / ".bmad").mkdir()
    return root / ".bmad" / "project-config.yaml"


def test_a_link_that_leads_nowhere_is_refused_instead_of_meaning_all_defaults(tmp_path: Path):
    config_file(tmp_path).symlink_to(tmp_path / "nowhere")
    with pytest.raises(ConfigError, match="the link leads nowhere"):
        read_project_config(tmp_path)


def test_something_that_is_no_file_is_refused_without_being_opened(tmp_path: Path):
    os.mkfifo(config_file(tmp_path))
    with pytest.raises(ConfigError, match="this is no file"):
        read_project_config(tmp_path)


def test_a_huge_file_is_refused_by_its_size(tmp_path: Path):
    with config_file(tmp_path).open("wb") as file:
        file.truncate(1 << 30)
    with pytest.raises(ConfigError, match=r"1,073,741,824 bytes.* at most 256 KiB"):
        read_project_config(tmp_path)
