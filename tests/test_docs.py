"""What the documents promise is there: links, images, commands, settings, deployments."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import typer
import yaml
from pydantic import BaseModel
from storyloom.cli.groups import GROUPS
from storyloom.cli.main import app
from storyloom.deployments.catalog import entries
from storyloom.deployments.environment import PROVIDER_KEYS
from storyloom.domain import errors
from storyloom.domain.settings import ProjectConfig

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
COMMAND = re.compile(r"(?:^|(?<=[`&|$ ]))storyloom ([a-z][^`\n#]*)", re.MULTILINE)
PERSONAL = r"(?<![\w.$}])/(?:home|Users)/(?!me/|user/|you/)[a-z][\w-]*/"
PLACES = [str(place) for place in (ROOT, *ROOT.parents) if len(place.parts) > 2]  # where this clone lies
MACHINE = re.compile("|".join([PERSONAL, *map(re.escape, PLACES)]))
REGISTRY = re.compile(
    r"\b(?:pypi\.org|files\.pythonhosted\.org|registry\.npmjs\.org|[\w.-]*(?:artifactory|nexus)[\w.-]*\.\w+)"
)


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_and_images_lead_somewhere(page: Path):
    targets = [t for t in LINK.findall(page.read_text()) if not re.match(r"https?:|mailto:", t)]
    broken = [t for t in targets if not (page.parent / t.partition("#")[0]).exists()]
    assert not broken


def test_every_page_of_the_guide_can_be_reached_from_its_map():
    linked = {(ROOT / "docs" / t).resolve() for t in LINK.findall((ROOT / "docs" / "index.md").read_text())}
    missing = [name(p) for p in (ROOT / "docs").glob("*.md") if p.resolve() not in linked and p.name != "index.md"]
    assert not missing
    decisions = ROOT / "docs" / "decisions"
    told = (decisions / "README.md").read_text()
    assert [p.name for p in decisions.glob("0*.md") if p.name not in told] == []


def command_line() -> click.Group:
    for group, commands in GROUPS.items():
        if group not in {g.name for g in app.registered_groups}:
            app.add_typer(commands, name=group)
    return typer.main.get_command(app)  # type: ignore[return-value]


def commands_in(text: str) -> Iterator[list[str]]:
    """The words of each `storyloom …` in code of a page."""
    code = (
        "\n".join(re.findall(r"```sh\n(.*?)```", text, re.DOTALL)) + "\n" + "\n".join(re.findall(r"`([^`\n]+)`", text))
    )
    for found in COMMAND.findall(code):
        plain = re.split(r"\s(?:&&|\||;|--\s)", found)[0]
        try:
            yield shlex.split(plain, comments=True)
        except ValueError:
            yield plain.split()


def fault_of(words: list[str]) -> str:
    """Why these words are no command of ours, "" if they are."""
    here: Any = command_line()
    at = 0
    while at < len(words) and hasattr(here, "commands") and words[at] in here.commands:
        here = here.commands[words[at]]
        at += 1
    if at == 0:
        return f"no command {words[0]!r}"
    rest = words[at:]
    if hasattr(here, "commands") and rest and not rest[0].startswith("-"):
        if words[0] != "report":
            return f"no command {' '.join(words[: at + 1])!r}"
        here = here.commands["show"]  # `report NAME` is `report show NAME`
    known = {option for p in here.params for option in (*p.opts, *p.secondary_opts)} | {"--help"}
    unknown = [w for w in rest if re.match(r"--?[a-zA-Z]", w) and w.partition("=")[0] not in known]
    return f"no option {', '.join(unknown)} of {' '.join(words[:at])!r}" if unknown else ""


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_commands_that_the_documents_name_exist(page: Path):
    text = page.read_text().replace("storyloom\nserve", "storyloom serve")
    found = [words for words in commands_in(text) if words]
    assert [f"{' '.join(words)}: {fault}" for words in found if (fault := fault_of(words))] == []


def test_the_check_of_commands_sees_what_is_wrong():
    assert fault_of(["deliver", "--brief", "brief.md"]) == ""
    assert fault_of(["report", "waste", "-C", "x"]) == ""
    assert fault_of(["delver"])
    assert fault_of(["deliver", "--breif", "brief.md"])
    assert fault_of(["workflow", "lst"])


def test_every_command_is_told_of_in_the_guide():
    told = {words[0] for page in PAGES for words in commands_in(page.read_text()) if words}
    assert set(command_line().commands) - told <= {"clean", "demo"}  # the Makefile runs these


def settings_of(model: type[BaseModel], under: str = "") -> Iterator[tuple[str, Any]]:
    for key, field in model.model_fields.items():
        default = field.get_default(call_default_factory=True)
        if isinstance(default, BaseModel):
            yield from settings_of(type(default), f"{under}{key}.")
        else:
            yield f"{under}{key}", default


def shown(default: Any) -> str:
    if default is None or isinstance(default, bool | dict | tuple):
        return f"`{json.dumps(default)}`"
    return f"`{default:g}`" if isinstance(default, float) else f"`{default}`" if str(default) else "empty"


@pytest.mark.parametrize(("setting", "default"), settings_of(ProjectConfig), ids=str)
def test_the_page_on_configuration_has_every_setting_with_its_default(setting: str, default: Any):
    page = (ROOT / "docs" / "configuration.md").read_text()
    assert f"| `{setting}` | {shown(default)} |" in page


def test_the_page_on_configuration_has_no_setting_that_is_gone():
    page = (ROOT / "docs" / "configuration.md").read_text().partition("## For one run only")[0]
    told = set(re.findall(r"^\| `([a-z_.]+)` \|", page, re.MULTILINE))
    assert told == {setting for setting, _ in settings_of(ProjectConfig)}


def test_the_page_on_configuration_has_every_providers_key():
    page = (ROOT / "docs" / "configuration.md").read_text()
    assert [key for key in PROVIDER_KEYS.values() if key not in page] == []


def test_every_kind_of_error_has_a_line_on_what_to_do():
    page = (ROOT / "docs" / "troubleshooting.md").read_text()
    kinds = [n for n, kind in vars(errors).items() if isinstance(kind, type) and kind.__module__ == errors.__name__]
    assert [kind for kind in kinds if f"| `{kind}` |" not in page] == ["StoryloomError"]


def test_what_is_deployed_is_what_is_served_with_the_same_entry_points():
    declared = yaml.safe_load((ROOT / "prefect.yaml").read_text())
    served = {e.name: f"{e.flow.fn.__module__}.{e.flow.fn.__name__}" for e in entries()}
    assert {d["name"]: d["entrypoint"] for d in declared["deployments"]} == served
    assert [s["active"] for d in declared["deployments"] for s in d.get("schedules", [])] == [False]
    assert declared["pull"] == []  # else the folder of the clone that deploys would be written into every deployment


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / path for path in listed.split("\0") if path]


def test_no_tracked_file_names_a_place_on_somebodys_machine_or_a_package_registry():
    found = []
    for path in tracked():
        if path == Path(__file__).resolve() or path.suffix in {".png", ".ico"} or not path.is_file():
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        found += [f"{name(path)}: {m.group()}" for kind in (MACHINE, REGISTRY) for m in kind.finditer(text)]
    assert found == []
