"""A script answers by who is asked, about what, at which turn, and says exactly where it has no answer."""

from __future__ import annotations

from pathlib import Path

import pytest
from storyloom.domain.errors import DocumentError
from storyloom.rehearsal import anthropic_wire, openai_wire, responses_wire
from storyloom.rehearsal.conversation import Conversation, Miss
from storyloom.rehearsal.talk import Answer, Asked


def asked(subject: str, *turns: str, persona: str = "Amelia", result: str = "OK", **more: object) -> Asked:
    said = [
        {"role": "system", "content": f"You are {persona}, a developer."},
        {"role": "user", "content": f"# {subject}\nx"},
    ]
    for text in turns:
        said += [{"role": "assistant", "content": text}, {"role": "user", "content": result}]
    return openai_wire.read({"model": "m", "messages": said, **more})


def talk(folder: Path, text: str, **options: object) -> Conversation:
    (folder / "talk.yaml").write_text(text, encoding="utf-8")
    return Conversation.load(folder, **options)  # type: ignore[arg-type]


def answer(conversation: Conversation, request: Asked) -> Answer:
    found = conversation.reply(request)
    assert isinstance(found, Answer), found
    return found


def test_persona_subject_and_turn_choose_the_reply(tmp_path: Path):
    conversation = talk(
        tmp_path,
        """
- {persona: amelia, subject: "Story 1.2 · develop", text: first}
- {persona: amelia, subject: "Story 1.2 · develop", turn: 1, text: second}
- {persona: Mary, subject: "Story 1.2 · develop", text: other}
""",
    )
    assert answer(conversation, asked("Story 1.2 · develop")).text == "first"
    assert answer(conversation, asked("Story 1.2 · Develop", "first")).text == "second"
    assert answer(conversation, asked("Story 1.2 · develop", persona="MARY")).text == "other"
    assert answer(conversation, asked("Story 1.2 · develop")).entry == "talk.yaml:2"


def test_a_persona_is_a_whole_name(tmp_path: Path):
    conversation = talk(tmp_path, "- {persona: amel, text: x}")
    assert isinstance(conversation.reply(asked("a")), Miss)


def test_the_exact_subject_goes_before_a_glob_and_the_longer_glob_before_the_shorter(tmp_path: Path):
    conversation = talk(
        tmp_path,
        """
- {subject: "*", text: any}
- {subject: "Story *", text: some}
- {subject: "Story [1]", text: exact}
""",
    )
    assert [answer(conversation, asked(s)).text for s in ("Story [1]", "Story 2", "Epic")] == ["exact", "some", "any"]


def test_expectations_choose_between_entries_and_strict_refuses_an_unmet_one(tmp_path: Path):
    text = r"""
- {turn: 1, expect: '/^FAILED \(failures=\d+\)$/', text: repair}
- {turn: 1, expect: [OK, Ran], text: finish}
"""
    conversation = talk(tmp_path, text)
    assert answer(conversation, asked("s", "a", result="Ran 3\nFAILED (failures=2)")).text == "repair"
    assert answer(conversation, asked("s", "a", result="Ran 3\nOK")).text == "finish"
    unmet = answer(conversation, asked("s", "a", result="nothing"))
    assert (unmet.text, unmet.expect_met) == ("repair", False)
    conversation.strict = True
    miss = conversation.reply(asked("s", "a", result="nothing"))
    assert isinstance(miss, Miss)
    assert "expectation is not met" in miss.message
    assert "'nothing'" in miss.message


def test_only_what_came_since_the_last_reply_is_expected(tmp_path: Path):
    conversation = talk(tmp_path, "- {turn: 1, expect: develop, text: x}", strict=True)
    assert isinstance(conversation.reply(asked("Story 1 · develop", "a")), Miss)


def test_a_miss_names_the_nearest_entry_and_the_difference(tmp_path: Path):
    conversation = talk(
        tmp_path,
        """
- {persona: amelia, subject: "Story 1.2 · develop", turn: 4, text: x}
- {persona: mary, subject: "Product brief", text: x}
""",
    )
    miss = conversation.reply(asked("Story 1.2 · devel0p", "a"))
    assert isinstance(miss, Miss)
    assert "nearest  talk.yaml:2" in miss.message
    assert "- subject: Story 1.2 · develop\n+ subject: Story 1.2 · devel0p" in miss.message
    assert "- turn: 4\n+ turn: 1" in miss.message
    assert "persona:" not in miss.message


def test_samples_are_told_apart_by_how_often_the_same_request_came(tmp_path: Path):
    conversation = talk(tmp_path, "- {sample: 0, text: first}\n- {sample: 1, text: second}")
    assert [answer(conversation, asked("s")).text for _ in range(3)] == ["first", "second", "second"]
    found = conversation.reply(asked("s"), sample=0)
    assert isinstance(found, Answer)
    assert found.text == "first"


def test_turns_in_one_entry_are_counted_and_defaults_hold_for_a_file(tmp_path: Path):
    conversation = talk(
        tmp_path,
        """
defaults: {persona: amelia, latency_s: 0.25}
entries:
  - subject: s
    turns:
      - tools: [{name: read_file, arguments: {path: a.py}}]
      - {text: done, latency_s: 0}
""",
    )
    first, second = answer(conversation, asked("s")), answer(conversation, asked("s", "a"))
    assert (first.tools[0].name, first.latency_s, first.stop) == ("read_file", 0.25, "tools")
    assert (second.text, second.latency_s, second.stop) == ("done", 0, "end")


def test_files_stand_for_their_text_wherever_a_value_may(tmp_path: Path):
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "a.py").write_text("print('ü')\n", encoding="utf-8")
    (tmp_path / "reply.md").write_text("hello", encoding="utf-8")
    conversation = talk(
        tmp_path,
        """
- text: {file: reply.md}
  tools: [{name: write, arguments: {files: [{path: a.py, content: {file: code/a.py}}], file: kept}}]
""",
    )
    found = answer(conversation, asked("s"))
    assert found.text == "hello"
    assert found.tools[0].arguments == {"files": [{"path": "a.py", "content": "print('ü')\n"}], "file": "kept"}


def test_a_file_outside_of_the_folder_is_refused_even_through_a_link(tmp_path: Path):
    (tmp_path / "secret").write_text("x")
    folder = tmp_path / "talks"
    folder.mkdir()
    (folder / "link").symlink_to(tmp_path / "secret")
    for name in ("../secret", str(tmp_path / "secret"), "link"):
        with pytest.raises(DocumentError, match=r"talk\.yaml:1: .*leaves the folder"):
            talk(folder, f"- text: {{file: '{name}'}}")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (
            "- {text: a}\n- {txt: b}",
            r"talk\.yaml:2: an entry has no key 'txt': did you mean 'text'\? Known keys: persona",
        ),
        ("- {text: a, persoan: b}", r"talk\.yaml:1: an entry has no key 'persoan': did you mean 'persona'"),
        ("- {text: a}\n- [", r"talk\.yaml:2"),
        ("- just a text", r"talk\.yaml:1: an entry must be a mapping"),
        ("name: x", r"talk\.yaml:1: expected a list"),
        ("- {text: a, json: {}}", "json stands alone"),
        ("- {text: a, stop_reason: bored}", "'bored' is not one of"),
        ("- {tools: [{nam: x}]}", "a tool has no key 'nam'"),
        ("- {tools: [x]}", "tools"),
        ("- {tools: [{name: x, arguments: [1]}]}", "must be a mapping"),
        ("- {text: a, turn: -1}", "turn"),
        ("- {text: {file: nowhere}}", "there is no 'nowhere'"),
        ("- {turns: 3}", "turns: must be a list"),
        ("- {turns: [x]}", "each must be a mapping"),
        ("- {turn: x, turns: [{text: a}]}", "turn: a whole number is needed, not 'x'"),
        ("- subject: s\n  text: a\n  latency_s: soon", r"talk\.yaml:3: latency_s"),
        ("- subject: s\n  text: a\n  text: b", r"talk\.yaml:3: the key 'text' is there twice"),
        ("- subject: s\n  turns:\n  - text: a\n  - txt: b", r"talk\.yaml:4: a turn has no key 'txt'"),
        ("- text: a\n  usage: {inptu: 1}", r"talk\.yaml:2: usage has no key 'inptu': did you mean 'input'"),
        ("- tools:\n  - nme: a", r"talk\.yaml:2: a tool has no key 'nme': did you mean 'name'"),
        ("defaults:\n  persna: x\nentries:\n- text: a", r"talk\.yaml:2: an entry has no key 'persna'"),
        ("entries:\n- text: a\nextras: 1", r"talk\.yaml:3: a conversation file has no key 'extras'"),
        ("defaults: x\nentries:\n- text: a", r"talk\.yaml:1: defaults must be a mapping"),
        ("- text: a\n  is_json: true", r"talk\.yaml:2: an entry has no key 'is_json'"),
        ("- text: a\n- text: \x07", r"talk\.yaml:2: a control character"),
    ],
)
def test_a_mistake_is_told_with_its_file_and_line(tmp_path: Path, text: str, complaint: str):
    with pytest.raises(DocumentError, match=complaint):
        talk(tmp_path, text)


def test_a_file_that_is_not_utf_8_is_refused_with_its_line(tmp_path: Path):
    (tmp_path / "talk.yaml").write_bytes("- subject: s\n  text: café".encode("latin-1"))
    with pytest.raises(DocumentError, match=r"talk\.yaml:2: the file is not UTF-8\. Save it as UTF-8"):
        Conversation.load(tmp_path)


def test_a_folder_without_conversations_is_refused(tmp_path: Path):
    with pytest.raises(DocumentError, match="no conversation"):
        Conversation.load(tmp_path)
    with pytest.raises(DocumentError, match="no such folder"):
        Conversation.load(tmp_path / "nowhere")


def test_usage_depends_on_the_request_alone(tmp_path: Path):
    conversation = talk(tmp_path, '- {text: "12345678"}\n- {turn: 1, text: x}')
    first = answer(conversation, asked("s"))
    system, user = len("You are Amelia, a developer."), len("# s\nx")
    whole = -(-system // 4) + -(-user // 4)
    assert (first.usage.input, first.usage.cache_read, first.usage.output) == (whole, 0, 2)
    again = answer(conversation, asked("s"))
    assert again.usage == first.usage
    second = answer(conversation, asked("s", "12345678", result="1234"))
    assert (second.usage.cache_read, second.usage.input, second.usage.output) == (whole, 2 + 1, 1)


def claude(*turns: str, mark_system: str = "", mark_last: bool = False) -> Asked:
    control = {"cache_control": {"type": "ephemeral", **({"ttl": mark_system} if mark_system == "1h" else {})}}
    system = [{"type": "text", "text": "S" * 400, **(control if mark_system else {})}]
    said = [{"role": "user", "content": [{"type": "text", "text": "U" * 40}]}]
    for text in turns:
        said += [
            {"role": "assistant", "content": [{"type": "text", "text": text}]},
            {"role": "user", "content": [{"type": "text", "text": "R" * 20}]},
        ]
    if mark_last:
        said[-1]["content"][0]["cache_control"] = {"type": "ephemeral"}  # type: ignore[index]
    return anthropic_wire.read({"model": "m", "system": system, "messages": said, "max_tokens": 100})


def test_anthropic_prompts_are_cached_up_to_their_last_mark(tmp_path: Path):
    conversation = talk(tmp_path, "- {text: abcd}\n- {turn: 1, text: abcd}")

    def classes(request: Asked) -> tuple[int, int, int, int]:
        usage = answer(conversation, request).usage
        return usage.input, usage.cache_read, usage.cache_write, usage.cache_write_1h

    assert classes(claude()) == (110, 0, 0, 0)
    assert classes(claude(mark_system="1h")) == (10, 0, 100, 100)
    assert classes(claude(mark_last=True)) == (0, 0, 110, 0)
    assert classes(claude("abcd", mark_system="5m")) == (10 + 1 + 5, 100, 0, 0)
    assert classes(claude("abcd", mark_last=True)) == (0, 110, 1 + 5, 0)


def test_a_reply_longer_than_the_request_allows_is_cut_as_providers_cut_it(tmp_path: Path):
    conversation = talk(tmp_path, f"- {{text: {'x' * 100}}}\n- {{turn: 1, tools: [{{name: a, arguments: {{b: c}}}}]}}")
    cut = answer(conversation, asked("s", max_tokens=10))
    assert (len(cut.text), cut.stop, cut.usage.output) == (40, "length", 10)
    tools = answer(conversation, asked("s", "a", max_completion_tokens=1))
    assert (tools.tools, tools.stop, tools.usage.output) == ((), "length", 1)


def test_the_three_formats_say_the_same_conversation(tmp_path: Path):
    conversation = talk(tmp_path, "- {persona: amelia, subject: s, turn: 1, expect: result, text: yes it is}")
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    chat = openai_wire.read(
        {
            "messages": [
                {"role": "developer", "content": "You are Amelia, x"},
                {"role": "user", "content": [{"type": "text", "text": "# s"}]},
                {"role": "assistant", "content": None, "tool_calls": [call]},
                {"role": "tool", "tool_call_id": "c", "content": "result"},
            ]
        }
    )
    messages = anthropic_wire.read(
        {
            "system": "You are Amelia, x",
            "messages": [
                {"role": "user", "content": "# s"},
                {"role": "assistant", "content": [{"type": "tool_use", "id": "c", "name": "f", "input": {}}]},
                {
                    "role": "user",
                    "content": [
                        {"type": "tool_result", "tool_use_id": "c", "content": [{"type": "text", "text": "result"}]}
                    ],
                },
            ],
        }
    )
    responses = responses_wire.read(
        {
            "input": [
                {"role": "system", "content": "You are Amelia, x"},
                {"role": "user", "content": [{"type": "input_text", "text": "# s"}]},
                {"type": "reasoning", "id": "r", "summary": []},
                {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
                {"type": "function_call_output", "call_id": "c", "output": "result"},
            ]
        }
    )
    for request in (chat, messages, responses):
        assert (request.turn, request.subject) == (1, "s")
        assert answer(conversation, request).text == "yes it is"
