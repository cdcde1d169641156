"""A set-up's name follows from what it depends on, and a failed one says what to do."""

import pytest
from storyloom.domain.ports import CommandResult
from storyloom.domain.set_up import MANIFESTS, failure, is_input, named_paths, set_up_key
from storyloom.domain.settings import Commands

PIP = Commands(setup="python -m venv .venv && .venv/bin/pip install -r deps/dev.txt")


def test_paths_are_found_among_the_words_of_a_command():
    assert {"deps/dev.txt", ".venv", ".venv/bin/pip"} <= set(named_paths(PIP.setup))
    assert named_paths("(cd web;npm ci --prefix='app')|tee >log") == (
        "cd",
        "web",
        "npm",
        "ci",
        "--prefix",
        "app",
        "tee",
        "log",
    )


@pytest.mark.parametrize("word", ["../other", "/etc/passwd", ".", "./", "~/x", "C:\\x"])
def test_no_path_leads_out_or_means_everything(word: str):
    assert named_paths(f"install {word}") == ("install",)


def test_only_so_many_words_are_looked_at():
    assert len(named_paths(" ".join(f"f{n}" for n in range(5_000)))) <= 100


def test_manifests_and_packages_are_inputs_and_sources_are_not():
    assert all(map(is_input, (*MANIFESTS, "x-1.0-py3-none-any.whl", "x.tgz")))
    assert not any(map(is_input, ("main.py", "README.md", "data.json")))


def test_the_key_changes_with_everything_that_counts_and_with_nothing_else():
    files = {"deps/dev.txt": b"a==1\n", "uv.lock": b"x"}
    key = set_up_key(PIP, files, "here")
    assert key == set_up_key(PIP.model_copy(update={"test": "other"}), dict(reversed(files.items())), "here")
    others = {
        set_up_key(PIP, {**files, "uv.lock": b"y"}, "here"),
        set_up_key(PIP, {"deps/dev.txt": b"a==1\n"}, "here"),
        set_up_key(PIP, {"deps/dev.txt": b"x", "uv.lock": b"a==1\n"}, "here"),
        set_up_key(PIP, files, "there"),
        set_up_key(PIP.model_copy(update={"setup": "other"}), files, "here"),
        set_up_key(PIP.model_copy(update={"setup_folders": (".venv",)}), files, "here"),
    }
    assert len(others | {key}) == 7


def test_a_failure_shows_the_end_of_the_output_and_names_the_setting_when_there_was_no_network():
    result = CommandResult(exit_code=1, output="x" * 9_000 + "\nNo matching distribution\n")
    error = failure(PIP.setup, result, network=False)
    assert "ended with 1" in error.message
    assert error.message.endswith("No matching distribution\n")
    assert len(error.message) < 5_000
    assert "settings.setup_network: true" in error.remedy
    assert "setup_network" not in failure(PIP.setup, result, network=True).remedy
    assert not error.may_pass


def test_a_limit_is_named():
    assert "its limit on wall_s" in failure("x", CommandResult(exit_code=137, limit_hit="wall_s"), network=True).message
