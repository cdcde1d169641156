import os
import subprocess
import sys
import tracemalloc
from importlib.resources import files

import pytest
from storyloom.domain.definitions import definitions, references
from storyloom.domain.repo_map import rank_files, repo_map, words_of
from storyloom.domain.tokens import estimate_tokens

SHOP = {
    "shop/cart.py": "from shop.money import Money\nclass Cart:\n    def total(self) -> Money:\n        return Money(1)",
    "shop/money.py": "class Money:\n    def rounded(self): ...\n",
    "shop/report.py": "def monthly_report(): ...\ndef yearly_report(): ...\n",
    "shop/mail.py": "def send_mail(): ...\n",
    "shop/views.py": "from shop.cart import Cart\ndef show_cart():\n    return Cart().total()\n",
    "README.md": "A shop.\n",
}


def order(focus: str, *named: str) -> list[str]:
    return [file.path for file in rank_files(SHOP, focus, named)]


def test_files_that_the_story_speaks_of_come_first():
    assert order("Show the yearly report")[0] == "shop/report.py"
    assert order("Customers get a mail")[0] == "shop/mail.py"


def test_files_that_the_story_names_come_first():
    assert order("something else", "shop/mail.py")[0] == "shop/mail.py"


def test_what_relevant_files_use_comes_before_what_nobody_uses():
    ranked = order("The cart shows its total")
    assert ranked.index("shop/money.py") < ranked.index("shop/report.py")


def test_ranks_are_shares_of_one():
    assert abs(sum(file.rank for file in rank_files(SHOP, "cart")) - 1) < 1e-9
    assert rank_files({}, "cart") == ()


def test_a_map_shows_definitions_by_file_with_their_lines():
    made = repo_map(SHOP, "The cart shows its total", budget=500)
    assert "shop/cart.py:\n    2| class Cart\n    3|     def total(self) -> Money" in made.text
    assert (made.files, made.files_of, made.definitions, made.definitions_of) == (6, 6, 8, 8)
    assert made.text.endswith("README.md") or "\nREADME.md\n" in made.text


def test_a_small_budget_keeps_what_matters_most():
    made = repo_map(SHOP, "The cart shows its total", budget=30)
    assert "cart" in made.text
    assert "report" not in made.text
    assert made.tokens <= 30
    assert made.definitions < made.definitions_of
    assert repo_map(SHOP, "cart", budget=0).text == ""


def test_the_map_of_this_package_fits_its_budget_and_finds_what_a_story_is_about():
    folder = files("storyloom.domain")
    texts = {f"domain/{item.name}": item.read_text() for item in folder.iterdir() if item.name.endswith(".py")}
    focus = "Edits are refused with the closest lines when the search text is missing"
    made = repo_map(texts, focus, budget=1_500)
    assert estimate_tokens(made.text) <= 1_500
    ranked = [file.path for file in rank_files(texts, focus)]
    assert {"domain/edits.py", "domain/edit_places.py", "domain/edit_hints.py"} <= set(ranked[:8])
    assert "def apply_edits(text: str, edits: Sequence[tuple[str, str]]) -> EditResult" in made.text


def test_words_are_taken_apart_at_their_seams():
    assert words_of("loadUserName HTTP_port for x") >= {"loadusername", "load", "http_port", "http", "port"}
    assert "for" not in words_of("for the user")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Корзина показывает сумму", "## Сумма и корзина"),
        ("Die Überweisung wird geprüft", "## Überweisung"),
        ("Το καλάθι δείχνει το σύνολο", "## Καλάθι"),
        ("购物车显示总价", "## 总价"),
        ("カートは合計を表示する", "## 合計"),
        ("장바구니에 합계를 표시", "## 합계"),
        ("कार्ट में कुल राशि", "## कुल"),
    ],
)
def test_words_of_any_script_are_found_again(one: str, other: str):
    assert words_of(one) & words_of(other)
    assert not words_of(one) & words_of("## Mail delivery über Отчёт 邮件")


def test_endings_do_not_keep_words_apart():
    assert words_of("editing") & words_of("edits") & words_of("edited") == {"edit"}
    assert words_of("planned") & words_of("plans") == {"plan"}
    assert "class" in words_of("class")


def test_names_that_half_of_the_files_define_and_the_others_use_cost_no_more_than_their_files():
    names = ("Close", "Handle", "Validate", "Execute", "Render", "Describe", "String", "Release")
    defining = "".join(f"func {name}() {{\n}}\n" for name in names)
    using = "".join(f"x.{name}()\n" for name in names)
    texts = {f"pkg/m{n}.go": f"package p\nfunc Only{n}() {{\n}}\n{(defining, using)[n % 2]}" for n in range(1_000)}
    tracemalloc.start()
    try:
        ranked = rank_files(texts, "Handle an order", ["pkg/m7.go"])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert ranked[0].path == "pkg/m7.go"
    assert peak < 12_000_000, "uses are kept by name, not by every pair of files"


def test_a_repository_of_five_thousand_files_is_taken_apart_once():
    texts = {f"m{n}.py": f"def only_{n}(): ...\n" for n in range(5_000)}
    rank_files(texts, "one story")
    before = definitions.cache_info().misses, references.cache_info().misses
    rank_files(texts, "another story")
    assert (definitions.cache_info().misses, references.cache_info().misses) == before


def test_ranks_do_not_depend_on_the_order_in_which_a_process_keeps_its_sets():
    program = """
from storyloom.domain.repo_map import rank_files
words = "cart total price order customer invoice payment shipping refund coupon discount catalog".split()
texts = {f"m{n}.py": "".join(f"def {word}_x(): ...\\n" for word in words[::1 - 2 * (n % 2)]) for n in range(4)}
texts |= {f"{word}{k}.py": f"def {word}_y(): ..." for n, word in enumerate(words) for k in range(n)}
print([(file.path, file.rank) for file in rank_files(texts, " ".join(words))])
"""
    told = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": str(seed)},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in (0, 1, 2, 3)
    }
    assert len(told) == 1
