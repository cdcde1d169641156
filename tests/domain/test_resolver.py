import pytest
from hypothesis import given
from hypothesis import strategies as st
from storyloom.domain.errors import DocumentError, UnsafePath
from storyloom.domain.resolver import MAX_DEPTH, Resolver, inside

VARIABLES = {
    "output_folder": "{config_source}:output_folder",
    "stories": "{config_source}:artifacts/stories",
    "brace": "{config_source}:artifacts}/x",
    "status": "{stories}/s.yaml || {output_folder}/s.yaml",
    "date": "system-generated",
    "story_key": "runtime-captured",
    "title": "",
    "names": ["{user_name}", "B"],
    "nested": {"deep": "{user_name}!"},
    "flag": True,
    "installed_path": "{project_root}/{bmad_folder}/bmm/x",
}
CONFIG = {"output_folder": "{project-root}/out", "artifacts": "{project-root}/art", "user_name": "Ada", "a": {"b": "c"}}
SYSTEM = {"project-root": "/srv/p", "bmad_folder": "_bmad", "date": "2026-01-02"}
RESOLVER = Resolver(VARIABLES, CONFIG, SYSTEM)


def text(template, resolver=RESOLVER, **more):
    return resolver.text(template, **more).text


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("{output_folder}/a.md", "/srv/p/out/a.md"),
        ("{{output_folder}}/a.md", "/srv/p/out/a.md"),
        ("{stories}", "/srv/p/art/stories"),
        ("{config_source}:artifacts/{{user_name}}.md", "/srv/p/art/Ada.md"),
        ("{config_source}:user_name.", "Ada."),
        ("{brace}", "/srv/p/art/x"),
        ("{date} {{ date }}", "2026-01-02 2026-01-02"),
        ("{installed_path}", "/srv/p/_bmad/bmm/x"),
        ("{installed-path}", "/srv/p/_bmad/bmm/x"),
        ("{names}", "Ada, B"),
        ("{flag}", "true"),
        ("{{nested.deep}}", "Ada!"),
        ("{{config.a.b}} {{.user_name}}", "c Ada"),
    ],
)
def test_names_of_every_kind_are_resolved(written, meant):
    assert text(written) == meant


@pytest.mark.parametrize(
    "written",
    [
        "${{ github.ref }} ${{ date }}",
        "${date}",
        "{STATUS_ICON}",
        "{YYYY-MM-DD}",
        "{PASS | FAIL}",
        "{config_source}:nothing/x",
        "{{#if date}}{{else}}{{/if}} {{this}} {{@index}} {{for each x}}",
        "{}{{}} { date }",
        '{"json": 1}',
    ],
)
def test_what_is_not_known_stays_as_it_is_written(written):
    assert text(written) == written


def test_open_names_are_reported_once_and_only_those_that_may_be_asked():
    resolved = RESOLVER.text("{{epic}} {{epic}} {STATUS} {{title}} {{story_key}} {config_source}:nowhere")
    assert resolved.missing == ("nowhere", "epic", "title", "story_key")


def test_runtime_values_win_and_the_resolver_is_not_changed():
    later = RESOLVER.with_runtime({"story_key": "1-2-x", "user_name": "Bo"})
    assert text("{{story-key}} {user_name}", later) == "1-2-x Bo"
    assert text("{user_name}") == "Ada"


def test_aliases_are_other_names_of_one_value():
    assert text("{who}", Resolver(config={"user_name": "Ada"}, aliases={"who": "user_name"})) == "Ada"


def test_of_alternatives_the_first_that_exists_is_taken_else_the_first():
    assert text("{status}") == "/srv/p/art/stories/s.yaml"
    assert text("{status}", exists=lambda path: path == "/srv/p/out/s.yaml") == "/srv/p/out/s.yaml"
    assert text("{status}", exists=lambda path: False) == "/srv/p/art/stories/s.yaml"
    assert text("a || b") == "a || b", "only values of variables hold alternatives"


def test_values_keep_their_shape():
    assert RESOLVER.value("names") == ["Ada", "B"]
    assert RESOLVER.value("nested") == {"deep": "Ada!"}
    assert RESOLVER.value("flag") is True
    assert RESOLVER.value("story_key") is None
    assert RESOLVER.value("title") == ""
    assert RESOLVER.value("status", exists=lambda path: "out" in path) == "/srv/p/out/s.yaml"


def test_names_that_stand_for_themselves_are_left_and_reported():
    loop = Resolver({"a": "1{b}", "b": "2{c}", "c": "3{a}", "d": "{a}"})
    resolved = loop.text("{a} {d} {c}")
    assert resolved.cycles
    assert "{a}" in resolved.text
    assert Resolver({"x": "{x}"}).text("{x}").text == "{x}"


def test_growth_and_depth_are_bounded():
    bomb = Resolver({f"v{n}": f"{{v{n + 1}}}" * 100 for n in range(20)} | {"v20": "x"})
    with pytest.raises(DocumentError, match="grows beyond"):
        bomb.text("{v0}")
    chain = Resolver({f"v{n}": f"{{v{n + 1}}}" for n in range(MAX_DEPTH * 2)})
    with pytest.raises(DocumentError, match="more than"):
        chain.text("{v0}")


@given(st.text(), st.dictionaries(st.sampled_from("abc"), st.sampled_from(["{a}", "{b}{c}", "x", "{{a}}", "{c} || y"])))
def test_any_text_resolves_and_ends(template, variables):
    Resolver(variables).text(template + "{a}{{b}}{c}")


@pytest.mark.parametrize(
    ("path", "clean"),
    [("{output_folder}/a/../b.md", "out/b.md"), ("docs//x.md", "docs/x.md"), ("./x", "x"), ("{project-root}", ".")],
)
def test_paths_in_the_project_are_relative_and_normalised(path, clean):
    assert RESOLVER.path(path, "/srv/p") == clean


@pytest.mark.parametrize(
    "path", ["../x", "a/../../x", "/etc/passwd", "{project-root}/../q", "~/x", "C:\\x", "\\\\h\\x", "a\0b"]
)
def test_paths_out_of_the_project_are_refused(path):
    with pytest.raises(UnsafePath):
        RESOLVER.path(path, "/srv/p")


@pytest.mark.parametrize("path", ["https://example.org/t.md", "file:///etc/passwd", "{unknown}/x", "{{unknown}}"])
def test_addresses_and_open_names_are_no_paths(path):
    with pytest.raises(DocumentError):
        RESOLVER.path(path, "/srv/p")


def test_a_sister_folder_with_the_same_beginning_is_outside():
    with pytest.raises(UnsafePath):
        inside("/srv/pp/x", "/srv/p")
