import pytest
from hypothesis import given
from hypothesis import strategies as st
from storyloom.domain.errors import WorkflowError
from storyloom.domain.templates import fill_names, placeholders, render, render_strict


def text(template, final=True, **values):
    return render(template, values, final=final).text


def test_known_names_are_filled_and_unknown_ones_stay_and_are_listed():
    done = render("# {{title}}\n{{ body }} {{title}} {{prd status}}\n", {"title": "A", "prd_status": "done"})
    assert done.text == "# A\n{{ body }} A done\n"
    assert done.missing == ("body",)


def test_conditions_choose_and_their_lines_leave_no_trace():
    template = "a\n{{#if level <= 1}}\nsmall\n{{else if level == 2}}\nmiddle\n{{else}}\nlarge\n{{/if}}\nb\n"
    assert text(template, level=1) == "a\nsmall\nb\n"
    assert text(template, level=2) == "a\nmiddle\nb\n"
    assert text(template, level=3) == "a\nlarge\nb\n"


def test_loops_know_their_items_index_and_outer_names():
    stories = "{{#each stories}}\n  - {{number}} {{this}}\n{{/each}}\n"
    template = "{{#each epics}}\n{{@index}} {{this.title}} of {{project}}\n" + stories + "{{/each}}\n"
    epics = [{"title": "Login", "stories": ["a", "b"]}, {"title": "Pay", "stories": []}]
    assert text(template, epics=epics, project="P") == "0 Login of P\n  - 1 a\n  - 2 b\n1 Pay of P\n"


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{if ux}}yes{{/if_ux}}", "yes"),
        ("{{if_ux}}yes{{/if_ux}}", "yes"),
        ("{{#stories}}<{{this}}>{{/stories}}", "<s1><s2>"),
        ("{{#ux}}on{{/ux}}{{#off}}never{{/off}}", "on"),
        ("{{for_each stories}}-{{this}}{{/for_each}}", "-s1-s2"),
        ('{{#if kind == "web"}}web{{/if}}', "web"),
        ("{{#if kind !== other}}differs{{/if}}", "differs"),
        ("{{#unless ux}}no{{else}}yes{{/unless}}", "yes"),
        ("{{for each story in stories, show:}}[{{story}}]{{/for}}", "[s1][s2]"),
        ("{{#each stories numbered}}{{number}}{{/each}}", "12"),
        ("{{! a remark }}x", "x"),
        ("{{/if}} {{else}} {{#if ux}}", "{{/if}} {{else}} {{#if ux}}"),
        ("run: ${{ github.ref }} {{#if ux}}${{ x }}{{/if}}", "run: ${{ github.ref }} ${{ x }}"),
        ("{% raw %}{{ kind }}{% if x %}", "{% raw %}web{% if x %}"),
    ],
)
def test_irregular_forms_are_understood_and_what_is_no_block_stays(template, expected):
    assert text(template, ux=True, kind="web", other="app", off=False, stories=["s1", "s2"]) == expected


def test_blocks_about_unknown_things_wait_for_the_final_rendering():
    template = "{{#if has_ui}}\nUI: {{ui}}\n{{/if}}\n{{#each risks}}\n- {{this}}\n{{/each}}\nend\n"
    early = render(template, {"ui": "x"})
    assert early.text == template
    last = render(template, {"ui": "x"}, final=True)
    assert last.text == "end\n"
    assert last.missing == ("if has_ui", "each risks")


def test_a_value_is_never_rendered_again():
    evil = "{{secret}} {% for x in range(9) %}x{% endfor %} {{''.__class__}}"
    assert text("{{body}}|{{secret}}", body=evil, secret="s") == f"{evil}|s"


def test_strict_rendering_lists_every_missing_name():
    with pytest.raises(WorkflowError, match="a, b"):
        render_strict("{{a}} {{b}} {{c}}", {"c": 1})


def test_single_braces_are_filled_only_when_known():
    assert (
        fill_names("{out}/{{key}}.md {PASS | FAIL} {unknown} ${{x}}", {"out": "docs", "key": "k"})
        == "docs/k.md {PASS | FAIL} {unknown} ${{x}}"
    )


def test_a_value_in_an_instruction_is_not_looked_into():
    assert fill_names("{{a}} {b} {a}", {"a": "{b} {{b}}", "b": "B"}) == "{b} {{b}} B {b} {{b}}"


def test_placeholders_inside_blocks_are_not_sections():
    assert placeholders("{{a}} {{#each l}}{{b}}{{/each}} {{a}} {{c}}") == ("a", "c")


@given(st.text(alphabet="{}#/ifeach els$%\n.@x1", max_size=60))
def test_any_text_renders_without_an_error(template):
    render(template, {"x": [1, {"e": 2}]}, final=True)
    render(template, {"x": "v"})


@given(st.text(max_size=40))
def test_a_text_without_placeholders_renders_to_itself(plain):
    if "{{" not in plain:
        assert render(plain, {}).text == plain
