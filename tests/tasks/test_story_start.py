from types import SimpleNamespace

from storyloom.domain.definitions import LANGUAGES
from storyloom.domain.settings import ProjectConfig
from storyloom.domain.stories import Story
from storyloom.tasks.story_start import SOURCE, _material

KEPT = {
    "src/cart.mjs": "export function total() {\n}\n",
    "deploy.yaml": "replicas: 1\n",
    "other.yaml": "replicas: 2\n",
    "logo.png": "\ufffdPNG\0\0",
}


def test_every_language_whose_definitions_are_known_is_read():
    assert [ending for ending in LANGUAGES if not SOURCE.search(f"a.{ending}")] == []


def test_what_a_story_names_is_read_whatever_kind_of_text_it_is():
    workspace = SimpleNamespace(
        files=lambda tip: sorted(KEPT), texts=lambda tip, paths: {path: KEPT[path] for path in paths if path in KEPT}
    )
    ports = SimpleNamespace(config=ProjectConfig(), workspace=workspace, shelf=SimpleNamespace(get=lambda name: None))
    story = Story(key="1-1-x", id="1.1", epic="1", title="More replicas", files=("deploy.yaml", "logo.png", "new.txt"))
    material = _material(ports, story, "tip")  # type: ignore[arg-type]
    assert sorted(material.files) == ["deploy.yaml", "src/cart.mjs"]
