"""What the tree has, the package has; and nothing shadows it."""

import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OURS = ("analytics", "blocks", "cli", "deployments", "domain", "flows", "method", "rehearsal", "tasks")


def test_every_folder_with_modules_is_listed_as_a_package():
    listed = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"])
    found = {
        "storyloom." + ".".join(init.parent.relative_to(ROOT).parts)
        for folder in OURS
        for init in (ROOT / folder).rglob("__init__.py")
    }
    assert listed == found


def test_nothing_at_the_root_shadows_the_installed_package():
    assert not (ROOT / "storyloom").exists()
    assert not (ROOT / "storyloom.py").exists()
