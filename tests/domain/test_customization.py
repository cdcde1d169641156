import pytest
from storyloom.domain.customization import load_toml, merge_layers
from storyloom.domain.errors import DocumentError

BASE = load_toml(
    """
[workflow]
on_complete = "a"
facts = ["one"]
[workflow.deep]
x = 1
y = 2
[[workflow.layers]]
id = "first"
text = "base"
more = true
[[workflow.layers]]
id = "second"
text = "base"
""",
    "base.toml",
)


def test_team_and_person_are_laid_over_the_defaults():
    team = load_toml(
        '[workflow]\nfacts = ["two"]\n[workflow.deep]\ny = 3\n[[workflow.layers]]\nid = "first"\ntext = "t"', "t"
    )
    user = load_toml('[workflow]\non_complete = "u"\n[[workflow.layers]]\nid = "third"', "u")
    assert merge_layers([BASE, team, user]) == {
        "workflow": {
            "on_complete": "u",
            "facts": ["one", "two"],
            "deep": {"x": 1, "y": 3},
            "layers": [{"id": "first", "text": "t"}, {"id": "second", "text": "base"}, {"id": "third"}],
        }
    }
    assert BASE["workflow"]["facts"] == ["one"], "the layers are not changed"


def test_tables_are_named_by_code_before_id_and_only_if_all_are():
    assert merge_layers([{"m": [{"code": "A", "id": "1"}]}, {"m": [{"code": "A", "id": "2"}]}]) == {
        "m": [{"code": "A", "id": "2"}]
    }
    assert merge_layers([{"m": [{"id": "1"}]}, {"m": [{"x": 1}]}]) == {"m": [{"id": "1"}, {"x": 1}]}
    assert merge_layers([{"m": []}, {"m": []}]) == {"m": []}


def test_a_scalar_replaces_whatever_was_there():
    assert merge_layers([{"a": [1]}, {"a": "x"}]) == {"a": "x"}
    assert merge_layers([]) == {}


@pytest.mark.parametrize(("text", "line"), [("a = 1\nb = \n", 2), ("a = 1\na = 2", 2), ("x = " + "[" * 5000, 1)])
def test_what_is_not_toml_is_refused_with_its_line(text, line):
    with pytest.raises(DocumentError) as caught:
        load_toml(text, "c.toml")
    assert (caught.value.path, caught.value.line) == ("c.toml", line)


def test_a_huge_text_is_refused():
    with pytest.raises(DocumentError, match="more than"):
        load_toml("# " + "x" * (1 << 20), "c.toml")
