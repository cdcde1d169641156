import importlib.util
import json
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "conformance.py"


@pytest.fixture(scope="module")
def conformance():
    sys.path.insert(0, str(SCRIPT.parent))
    spec = importlib.util.spec_from_file_location("conformance", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules["conformance"] = module
    spec.loader.exec_module(module)
    yield module
    sys.path.remove(str(SCRIPT.parent))
    del sys.modules["conformance"]


@pytest.fixture
def package(tmp_path):
    files = {
        "src/core/workflows/a/workflow.yaml": "name: a\ninstructions: ./i.md\nx: ./none.md\n",
        "src/core/workflows/a/i.md": "<workflow><step><check if='a == b'><action>x</action></check></step></workflow>",
        "src/core/workflows/b/workflow.yaml": "name: b\nname: c\n",
        "src/core/notes.md": "---\nx: [\n---\nbody",
        "test/fixtures/agent-schema/invalid/x.agent.yaml": "agent: 1",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def test_every_figure_is_counted(conformance, package):
    figures = conformance.measure(package)
    assert (figures.characters, figures.assigned) == (figures.assigned, figures.characters)
    assert figures.characters == sum(len(p.read_text()) for p in package.rglob("*.md"))
    assert (figures.references, figures.resolved) == (2, 1)
    assert dict(figures.kinds) == {"xml": 1, "broken": 1}
    assert figures.tags == {"step": 1, "check": 1, "action": 1}
    assert (figures.files["yaml"], figures.refused["yaml"], figures.refused["md"]) == (2, 1, 1)
    assert (figures.fixtures, figures.fixtures_judged) == (1, 1)
    assert figures.conditions["all"] == 1
    assert len(figures.problems) == 4


def test_the_table_has_a_column_for_each_package(conformance, package, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["conformance.py", str(package), str(package), "--problems"])
    assert conformance.main() == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].count("|") == 4
    assert any(line.startswith("| references resolved | 1 / 2 | 1 / 2 |") for line in lines)
    assert sum("none.md does not exist" in line for line in lines) == 2
    monkeypatch.setattr(sys, "argv", ["conformance.py", str(package), "--json"])
    assert conformance.main() == 0
    assert json.loads(capsys.readouterr().out)[0]["resolved"] == 1
