import pytest
from storyloom.domain.errors import DocumentError
from storyloom.domain.installed_config import read_config

DEFAULTS = """code: bmm
name: "M"
output_folder:
  prompt: "Where?"
  default: "out"
  result: "{project-root}/{value}"
level: {prompt: p, default: medium}
flag: {prompt: p, default: false}
plans: {prompt: p, default: "{output_folder}/plans", result: "{project-root}/{value}"}
fixed: {result: "{project-root}/x"}
"""
PACKAGE = {"src/core/module.yaml": 'user_name: {default: "U", result: "{value}"}', "src/bmm/module.yaml": DEFAULTS}


def test_a_package_gives_the_answers_of_an_installation_that_takes_every_default():
    assert read_config(PACKAGE, "bmm") == {
        "user_name": "U",
        "output_folder": "{project-root}/out",
        "level": "medium",
        "flag": False,
        "plans": "{output_folder}/plans",
        "fixed": "{project-root}/x",
    }
    assert read_config(PACKAGE, "core") == {"user_name": "U"}


def test_installed_values_win_and_the_central_files_win_over_them():
    files = {
        **PACKAGE,
        "_bmad/core/config.yaml": "user_name: C\nlanguage: L\n",
        "_bmad/bmm/config.yaml": "user_name: M\noutput_folder: o\n",
        "_bmad/config.toml": '[core]\nlanguage = "T"\n[modules.bmm]\noutput_folder = "t"\n[modules.other]\nx = 1\n',
        "_bmad/config.user.toml": '[core]\nuser_name = "Ada"\n',
        "_bmad/custom/config.toml": '[modules.bmm]\noutput_folder = "team"\n',
    }
    values = read_config(files, "bmm")
    assert (values["user_name"], values["language"], values["output_folder"]) == ("Ada", "T", "team")
    assert "x" not in values


@pytest.mark.parametrize("root", ["bmad", ".bmad", "_bmad"])
def test_every_installed_folder_is_known(root):
    assert read_config({f"{root}/bmm/config.yaml": "a: 1"}, "bmm") == {"a": 1}


def test_nothing_configured_is_nothing_and_a_broken_file_is_told():
    assert read_config({}, "bmm") == {}
    with pytest.raises(DocumentError) as caught:
        read_config({"_bmad/bmm/config.yaml": "a: 1\na: 2"}, "bmm")
    assert (caught.value.path, caught.value.line) == ("_bmad/bmm/config.yaml", 2)
