import time

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from storyloom.domain.edits import apply_edits

CODE = "def total(items):\n    sum = 0\n    for item in items:\n        sum += item.price\n    return sum\n"
TABBED = CODE.replace("    ", "\t")


def edited(text: str, *edits: tuple[str, str]) -> str:
    result = apply_edits(text, edits)
    assert result.ok, result.report("code.py")
    return result.text


def refused(text: str, *edits: tuple[str, str]) -> str:
    result = apply_edits(text, edits)
    assert not result.ok, result.text
    assert result.text == text
    return result.report("code.py")


def test_an_exact_and_unique_search_text_is_replaced():
    assert edited("a = 1\nb = 2\n", ("b = 2", "b = 3")) == "a = 1\nb = 3\n"


def test_a_part_of_a_line_can_be_replaced():
    assert (
        edited("total = price * count\n", ("price * count", "price * count * rate")) == "total = price * count * rate\n"
    )


def test_a_search_text_at_several_places_is_refused_with_all_of_them():
    said = refused("x = 1\ny = 2\nx = 1\n", ("x = 1", "x = 3"))
    assert "begins at lines 1, 3" in said
    assert "3| x = 1" in said


def test_a_search_text_that_is_only_part_of_a_word_is_refused():
    assert "inside a longer word or number, in line 1" in refused("counter = 10\n", ("count", "number"))
    assert "inside a longer word" in refused("limit = 100\n", ("limit = 10", "limit = 20"))


@pytest.mark.parametrize(
    ("text", "search", "new"),
    [
        ("RATE = 1.25\n", "RATE = 1", "RATE = 2"),
        ("RATE = 1.25\n", "25", "50"),
        ("RATE = 1.25\n", ".25", ".5"),
        ("VERSION = '1.10'\n", "'1", "'2"),
    ],
)
def test_a_search_text_that_is_only_part_of_a_number_is_refused(text: str, search: str, new: str):
    assert "inside a longer word or number, in line 1" in refused(text, (search, new))


def test_a_point_beside_a_number_ends_it():
    assert edited("range 1..5, at 7.\n", ("range 1", "range 2"), ("at 7", "at 8")) == "range 2..5, at 8.\n"
    assert edited(".5\n", (".5", ".7")) == ".7\n"


def test_words_of_scripts_without_spaces_may_be_cut():
    assert edited("print('你好世界')\n", ("世界", "朋友")) == "print('你好朋友')\n"


def test_trailing_spaces_do_not_matter():
    assert edited(
        CODE, ("    sum = 0   \n    for item in items: \n", "    sum = 1\n    for item in items:\n")
    ) == CODE.replace("= 0", "= 1")


def test_unchanged_lines_keep_their_own_trailing_spaces():
    text = "first  \nsecond\nthird\t\n"
    assert edited(text, ("first\nsecond\nthird", "first\nnew\nthird")) == "first  \nnew\nthird\t\n"


def test_lost_indentation_is_given_back():
    search = "for item in items:\n    sum += item.price\n"
    new = "for item in items:\n    if item:\n        sum += item.price\n"
    assert edited(CODE, (search, new)) == CODE.replace(
        "        sum += item.price\n", "        if item:\n            sum += item.price\n"
    )


def test_too_deep_indentation_is_taken_away():
    assert edited("a\nb\nc\n", ("    a\n    b\n", "    a\n    b2\n    b3\n")) == "a\nb2\nb3\nc\n"


def test_a_first_line_that_alone_lost_its_indentation_is_put_back():
    search = "for item in items: \n        sum += item.price\n"
    new = "for item in items:\n        sum += item.price * 2\n"
    assert edited(CODE, (search, new)) == CODE.replace("item.price", "item.price * 2")


@pytest.mark.parametrize(("text", "marks"), [(TABBED, CODE), (CODE, TABBED)])
def test_tabs_and_spaces_are_converted_to_what_the_file_has(text: str, marks: str):
    tab = "\t" if marks is TABBED else "    "
    search = f"{tab}for item in items:\n{tab * 2}sum += item.price\n"
    new = f"{tab}for item in items:\n{tab * 2}if item:\n{tab * 3}sum += item.price\n"
    own = "\t" if text is TABBED else "    "
    expected = text.replace(f"{own * 2}sum +=", f"{own * 2}if item:\n{own * 3}sum +=")
    assert edited(text, (search, new)) == expected


def test_a_replacement_whose_indentation_cannot_be_known_is_refused():
    said = refused(
        CODE, ("for item in items:\nsum += item.price\n", "for item in items:\nif item:\nsum += item.price\n")
    )
    assert "indented otherwise" in said
    assert "4|         sum += item.price" in said


def test_a_single_bare_line_does_not_take_bare_lines_into_a_block():
    assert "indented otherwise" in refused(CODE, ("return sum", "sum += 1\nreturn sum"))
    assert edited(CODE, ("return sum", "sum += 1\n    return sum")).endswith("    sum += 1\n    return sum\n")


def test_a_replacement_that_already_has_its_indentation_is_not_indented_twice():
    assert "indented otherwise" in refused(CODE, ("return sum", "    return sum + 1"))


def test_a_search_text_loosely_at_two_places_is_refused():
    text = "if a:\n    go()\n    stop()\nif b:\n        go()\n        stop()\n"
    assert "2 places when white space is ignored" in refused(text, ("go() \nstop()", "go()\nwait()"))


def test_a_stale_search_text_is_refused_with_the_closest_lines():
    said = refused(CODE, ("    for item in items:\n        sum += item.cost\n", "    pass\n"))
    assert "closest lines are 3 to 4" in said
    assert "Line 4 is '        sum += item.price' where the search text has 'sum += item.cost'" in said


def test_a_line_that_has_got_more_since_is_refused():
    said = refused("def f(a):\n    return a + b\n", ("def f(a):\n    return a", "def f(x):\n    return x"))
    assert "only a part of line 2" in said


def test_a_multi_line_search_text_may_begin_inside_a_line():
    assert edited("call(a,\n     b)\n", ("a,\n     b", "b,\n     a")) == "call(b,\n     a)\n"


@pytest.mark.parametrize(
    ("search", "hint"),
    [
        ("def total(items):\n    ...\n    return sum\n", "leave lines out"),
        ("def total(items):\n    # ... existing code ...\n    return sum\n", "leave lines out"),
        ("def total(items): sum = 0", "other white space or line breaks"),
    ],
)
def test_usual_slips_are_named(search: str, hint: str):
    assert hint in refused(CODE, (search, "x"))


def test_typographic_quotes_are_named():
    assert "typographic" in refused("print('hello')\n", ("print(\u2018hello\u2019)", "print('bye')"))


def test_line_numbers_that_do_not_count_up_are_named():
    assert "line numbers" in refused("one\ntwo\nthree\n", ("1| one\n3| three", "x"))


def test_a_replacement_that_leaves_lines_out_is_refused():
    said = refused(CODE, (CODE, "def total(items):\n    # ... rest unchanged ...\n    return sum\n"))
    assert "leaves lines out" in said


def test_three_dots_as_a_body_are_no_elision():
    assert edited("class A:\n    pass\n", ("    pass", "    ...")) == "class A:\n    ...\n"
    new = "class A:\n    def f(self) -> int:\n        ...\n"
    assert edited("class A:\n    pass\n", ("class A:\n    pass\n", new)) == new


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("render(props);\n", "const {\n  label,\n  ...rest\n} = props;\nrender(label, rest);\n"),
        ("setState({ a: 1 });\n", "setState((previous) => ({\n  ...previous,\n  a: 1,\n}));\n"),
        ("save({ a: 1 });\n", "save({\n  ...existing.options,\n  a: 1,\n});\n"),
        ("f: Callable\n", "f: Callable[\n    ...,\n    int,\n]\n"),
        ("x = 1\n", "x = 1\n# ... the rest of the table is generated\n"),
        ("# ... the rest is made\nx = 1\n", "# ... the rest is made\nx = 2\n"),
    ],
)
def test_dots_that_are_code_or_a_comment_are_no_elision(old: str, new: str):
    assert edited(f"first\n{old}last\n", (old, new)) == f"first\n{new}last\n"


@pytest.mark.parametrize(
    "dots", ["...", "…", "# ...", "// ... existing code ...", "... rest of the function ...", "/* … */"]
)
def test_dots_for_lines_that_go_away_are_refused(dots: str):
    assert "leaves lines out" in refused("a\nb\nc\nd\n", ("a\nb\nc\nd\n", f"a\n{dots}\ne\n"))


def test_code_fences_around_both_texts_are_taken_off():
    assert edited("a\nb\n", ("```python\na\n```", "```python\nc\n```")) == "c\nb\n"


def test_line_numbers_are_taken_off():
    assert edited("a\nb\nc\n", ("1| a\n2| b\n", "1| a\n2| x\n")) == "a\nx\nc\n"
    assert edited("a\nb\nc\n", ("2\tb\n", "y\n")) == "a\ny\nc\n"


@pytest.mark.parametrize(
    ("text", "search", "new"),
    [
        ('CODES = {\n    200: "ok",\n    404: "missing",\n}\n', '    500: "missing",\n', '    500: "error",\n'),
        ("retries:\n  1: fast\n  3: slow\n", "  2: slow\n", "  2: medium\n"),
        ("retries:\n  1: fast\n  slow\n", "  2: slow\n", "  2: medium\n"),
        ("a\nb\n", "1| b\n", "1| c\n"),
        ("a\nb\n", "2| b\n", "5: c\n"),
        ("a\nb\n  b\n", "2|   b\n", "2|   c\n"),
    ],
)
def test_numbers_that_are_not_the_place_of_these_whole_lines_are_text(text: str, search: str, new: str):
    said = refused(text, (search, new))
    assert ("leave them out" in said) == ("|" in search)


def test_line_numbers_do_not_choose_from_several_places():
    assert "2 places" in refused("a\nb\na\n", ("3| a\n", "3| c\n"))


def test_numbers_of_any_length_are_read():
    refused("x\n", (f"{'1' * 5000}: x\n", f"{'1' * 5000}: y\n"))


def test_fences_that_stand_in_the_file_are_text():
    assert edited("```\na\n```\n", ("```\na\n```", "```\nb\n```")) == "```\nb\n```\n"


def test_crlf_stays_and_new_lines_get_it():
    assert edited("a\r\nb\r\nc\r\n", ("b\n", "x\ny\n")) == "a\r\nx\r\ny\r\nc\r\n"
    assert edited("a\nb\n", ("b\r\n", "x\r\ny\r\n")) == "a\nx\ny\n"


def test_mixed_line_ends_stay_where_they_are():
    assert edited("a\r\nb\nc\n", ("a\nb\nc", "a\nx\nc")) == "a\r\nx\nc\n"


def test_a_file_without_final_newline_stays_without():
    assert edited("a\nb", ("b\n", "c\n")) == "a\nc"
    assert edited("a\nb", ("a\nb\n", "a\nb\nc\n")) == "a\nb\nc"
    assert edited("a\nb", ("a \nb\n", "a\n")) == "a"


def test_a_final_newline_can_be_added():
    assert edited("a\nb", ("b", "b\n")) == "a\nb\n"


def test_final_newlines_of_search_and_replacement_need_not_agree():
    assert edited("a\nb\nc\n", ("b\n", "x")) == "a\nx\nc\n"
    assert edited("a\nb\nc\n", ("b", "x\n")) == "a\nx\nc\n"


def test_deleting_a_whole_line_leaves_no_empty_one():
    assert edited("a\n    b\nc\n", ("b", "")) == "a\nc\n"
    assert edited("a\nb\nc\n", ("b\n", "")) == "a\nc\n"
    assert edited("a b c\n", (" b", "")) == "a c\n"


def test_taking_away_the_end_of_a_line_does_not_join_it_with_the_next():
    assert edited("a = 1  # old\nb = 2\n", ("  # old\n", "")) == "a = 1\nb = 2\n"


def test_a_part_of_a_line_is_not_chosen_where_a_whole_line_may_be_meant():
    said = refused("kept = go()\nelse:\ngo()", ("go()\n", "stop()\n"))
    assert "lines 1, 3" in said


def test_a_byte_order_mark_stays_and_is_not_searched_for():
    assert edited("\ufeffa\nb\n", ("a\n", "x\n")) == "\ufeffx\nb\n"
    assert edited("\ufeffa\nb\n", ("a \nb", "x\nb")) == "\ufeffx\nb\n"
    assert edited("\ufeffa\n", ("\ufeffa", "b")) == "\ufeffb\n"


def test_an_empty_search_text_fills_an_empty_file_only():
    assert edited("", ("", "a\n")) == "a\n"
    assert edited("\n", ("", "a\n")) == "a\n"
    assert edited("\ufeff", ("", "a\n")) == "\ufeffa\n"
    assert "only for an empty file" in refused("x\n", ("", "a\n"))
    assert apply_edits("a\n", [("", "a\n")]).applied[0].status == "already"


def test_a_search_text_of_white_space_is_never_matched_loosely():
    refused("a\nb\n", ("\n\n", "\n"))
    assert edited("a\n\n\nb\n", ("\n\n\n", "\n\n")) == "a\n\nb\n"


@pytest.mark.parametrize(
    ("text", "search", "new"),
    [
        ("rate = 0.3\n", "rate = 0.2", "rate = 0.3"),
        ("import os\nimport sys\n", "import os\n", "import os\nimport sys\n"),
        ("if ready:\n    go_on()\n", "go_on()\n", "if ready:\n    go_on()\n"),
        ("\tif ready:\n\t\tgo_on()\n", "    go_on()\n", "    if ready:\n        go_on()\n"),
        ("first = 1\nlast = 3\n", "first = 1\nmiddle = 2\nlast = 3\n", "first = 1\nlast = 3\n"),
        ("same = 1\n", "same = 1", "same = 1"),
    ],
)
def test_an_edit_that_was_applied_before_is_not_applied_again(text: str, search: str, new: str):
    result = apply_edits(text, [(search, new)])
    assert result.ok
    assert result.text == text
    assert [edit.status for edit in result.applied] == ["already"]
    assert "reads like the replacement already" in result.report("code.py")


def test_leaving_out_the_last_line_is_not_taken_for_done_while_it_stands_there():
    text = "def f():\n    a = 1\n    return a\n"
    said = refused(text, ("def f():\n    a = 2\n    return a\n", "def f():\n    a = 1\n"))
    assert "replacement stands at line 1" in said


TWO = (
    "def load(path):\n    data = read(path)\n    return parse(data)\n\n\n"
    'def save(path, data):\n    check(path)\n    write(path, data)\n    log("saved")\n    return True\n'
)


@pytest.mark.parametrize(
    ("search", "new", "line"),
    [
        ("    return parse(data, strict=True)\n", '    log("saved")\n', 9),
        ("    data = read_text(path)\n", "    check(path)\n", 7),
        ("    return parse(data, path)\n", "    return True\n", 10),
        ("    data = read_text(path)\n    return parse(data)\n", '    log("saved")\n    return True\n', 9),
        ("    return  parse(data)\n", "    return True\n", 10),
        ("    write( path, data )\n", "    write(path, data)\n    log('done')\n", 0),
    ],
)
def test_a_search_text_that_missed_is_not_taken_for_done_since_other_code_reads_like_the_replacement(
    search: str, new: str, line: int
):
    said = refused(TWO, (search, new))
    assert not line or f"replacement stands at line {line}" in said


def test_a_changed_line_is_done_only_if_no_other_line_is_more_like_it():
    edit = ("ratio = height / width\n", "ratio = height / depth\n")
    assert apply_edits("ratio = height / depth\n", [edit]).applied[0].status == "already"
    refused("ratio = height // width\nprint(ratio)\n\nratio = height / depth\n", edit)


def test_endless_lines_are_compared_in_time():
    line = "".join(f"function f{n}(a,b){{return a+b*{n}}};" for n in range(1200))
    began = time.process_time()
    refused(f"start_of_it();\n{line}\nend_of_it();\n", (f"{line[:-3]}!!\nmore();\n", "end_of_it();\n"))
    assert time.process_time() - began < 5


def test_several_edits_are_applied_all_or_not_at_all():
    assert edited("a\nb\nc\n", ("a", "x"), ("c", "z")) == "x\nb\nz\n"
    said = refused("a\nb\nc\n", ("a", "x"), ("q", "z"))
    assert "Edit 2 of 2" in said
    assert "Nothing was changed" in said


def test_edits_are_looked_up_in_the_text_as_it_was():
    assert edited("a1\nb1\n", ("a1", "b1"), ("b1", "a1")) == "b1\na1\n"


def test_an_edit_may_build_on_an_earlier_one():
    assert edited("start\n", ("start", "start\nmiddle"), ("middle", "middle\nend")) == "start\nmiddle\nend\n"


def test_the_same_edit_twice_is_applied_once():
    result = apply_edits("one\ntwo\n", [("two", "two_and_a_half"), ("two", "two_and_a_half")])
    assert result.text == "one\ntwo_and_a_half\n"
    assert [edit.status for edit in result.applied] == ["exact", "already"]


def test_an_ambiguous_edit_does_not_become_unique_through_another():
    refused("x = 1\ny = 2\nx = 1\n", ("x = 1\ny = 2", "z = 1\ny = 2"), ("x = 1", "w = 1"))


def test_the_report_counts_edits_and_says_how_they_were_found():
    assert apply_edits("a\n", [("a", "b")]).report("f.py") == "f.py: edited."
    report = apply_edits("    a = 1\n    b = 2\n", [("a = 1 \nb = 2", "a = 1\nb = 3")]).report("f.py")
    assert report == "f.py: 1 of 1 edits changed the file.\nedit 1: found at lines 1 to 2 by ignoring white space."


# ---------------------------------------------------------------------------------------------------------------------
# What holds for any text

row = st.text("ab \t{}=é世", max_size=5)
texts = st.lists(row, max_size=8).map("\n".join)


@st.composite
def near_edits(draw: st.DrawFn) -> tuple[str, str, str]:
    """A text, and an edit of some of its lines with white space added or taken away."""
    rows = draw(st.lists(row, min_size=1, max_size=8))
    low = draw(st.integers(0, len(rows) - 1))
    high = draw(st.integers(low + 1, len(rows)))
    space = st.sampled_from(["", "", "", " ", "  ", "\t"])
    wanted = [draw(space) + draw(st.sampled_from([line, line.strip()])) + draw(space) for line in rows[low:high]]
    end = draw(st.sampled_from(["", "\n"]))
    return "\n".join(rows), "\n".join(wanted) + end, draw(texts)


tidy = st.lists(st.integers(0, 50).map(lambda n: f"{' ' * (n % 3)}line_{n}"), min_size=1, max_size=12, unique=True)


@given(texts, texts, texts)
def test_any_edit_ends_in_a_new_text_or_in_a_refusal_that_changes_nothing(text: str, search: str, new: str):
    result = apply_edits(text, [(search, new)])
    assert len(result.applied) == 1
    if not result.ok:
        assert result.text == text
        assert result.refusals[0]
    if result.applied[0].status == "already":
        assert result.text == text


@given(near_edits())
def test_lines_outside_of_the_place_that_was_found_are_never_touched(case: tuple[str, str, str]):
    text, search, new = case
    found = apply_edits(text, [(search, new)])
    edit = found.applied[0]
    assume(edit.status in ("exact", "whitespace") and search.strip())
    rows, now = text.split("\n"), found.text.split("\n")
    before, after = rows[: edit.first - 1], rows[edit.last :]
    if after == [""] and now[-1:] != [""]:
        after = []
    assert now[: len(before)] == before
    assert not after or now[-len(after) :] == after


@given(near_edits())
def test_what_was_found_reads_like_the_search_text(case: tuple[str, str, str]):
    text, search, new = case
    edit = apply_edits(text, [(search, new)]).applied[0]
    assume(edit.status in ("exact", "whitespace") and text.strip())
    block = "\n".join(text.split("\n")[edit.first - 1 : edit.last])
    assert "".join(search.split()) in "".join(block.split())


@given(near_edits())
def test_two_equal_places_are_never_chosen_from(case: tuple[str, str, str]):
    text, search, new = f"{case[0]}\n{case[0]}\n", case[1], case[2]
    if search.strip() and text.count(search) != 1:
        result = apply_edits(text, [(search, new)])
        assert not result.ok or result.text == text


@given(near_edits())
def test_line_ends_make_no_difference(case: tuple[str, str, str]):
    text, search, new = case
    plain = apply_edits(text, [(search, new)])
    with_returns = apply_edits(text.replace("\n", "\r\n"), [(search, new)])
    assert [edit.status for edit in plain.applied] == [edit.status for edit in with_returns.applied]
    if "\n" in text:
        assert with_returns.text == plain.text.replace("\n", "\r\n")


@given(tidy, st.data())
def test_a_block_of_unique_lines_is_replaced_exactly_and_only_once(rows: list[str], data: st.DataObject):
    low = data.draw(st.integers(0, len(rows) - 1))
    high = data.draw(st.integers(low + 1, len(rows)))
    new = data.draw(st.lists(st.integers(51, 99).map(lambda n: f"new_{n}"), min_size=1, max_size=4, unique=True))
    edit = ("\n".join(rows[low:high]) + "\n", "\n".join(new) + "\n")
    text = "\n".join(rows) + "\n"
    once = apply_edits(text, [edit])
    assert once.text == "\n".join([*rows[:low], *new, *rows[high:]]) + "\n"
    assert apply_edits(once.text, [edit]).text == once.text
    shift = "  " if all(line.startswith("  ") for line in rows[low:high]) else ""
    if not shift:
        deeper = ("".join(f"  {line}\n" for line in rows[low:high]), "".join(f"  {line}\n" for line in new))
        loose = apply_edits(text, [deeper])
        assert not loose.ok or loose.text == once.text
