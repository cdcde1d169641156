from storyloom.domain.fakes import MemoryTexts
from storyloom.domain.layered_texts import LayeredTexts


def test_the_first_source_wins_and_all_names_are_there_once():
    made = []

    def second():
        made.append(1)
        return MemoryTexts({"a/x.md": "second", "a/z.md": "z"})

    texts = LayeredTexts(lambda: MemoryTexts({"a/x.md": "first", "b/y.md": "y"}), second)
    assert made == []
    assert texts.read("a/x.md") == "first"
    assert texts.read("a/z.md") == "z"
    assert texts.read("none") is None
    assert texts.names("a") == ["a/x.md", "a/z.md"]
    assert made == [1]
