from hypothesis import given
from hypothesis import strategies as st
from storyloom.domain.masking import mask_old, message_tokens
from storyloom.domain.model_calls import Message, ToolCall


def conversation(*outputs: str) -> list[Message]:
    messages = [Message(role="user", content="# Story 1.1 · develop\n" + "x" * 50)]
    for n, output in enumerate(outputs):
        call = ToolCall(id=f"c{n}", name="read_file", arguments={"path": f"src/{n}.py", "start": None})
        messages += [
            Message(role="assistant", content="I look.", tool_calls=(call,)),
            Message(role="tool", content=output, tool_call_id=f"c{n}"),
        ]
    return messages


LONG = "line of output\n" * 100


def cost(messages: tuple[Message, ...] | list[Message]) -> int:
    return sum(message_tokens(message) for message in messages)


def test_a_conversation_within_its_budget_stays_as_it_is():
    messages = conversation(LONG, LONG)
    assert mask_old(messages, 4, 100_000) == tuple(messages)


def test_the_oldest_outputs_become_notes_that_say_how_to_get_them_back():
    messages = conversation(LONG, LONG, LONG, LONG)
    masked = mask_old(messages, 3, 1500)
    assert masked[2].content == (
        "[output of read_file(path='src/0.py') left out here, 101 lines; call it again if you need it]"
    )
    assert masked[-1].content == LONG
    assert masked[0] == messages[0]
    assert cost(masked) <= 1500


def test_calls_and_their_outputs_stay_paired():
    masked = mask_old(conversation(*[LONG] * 12), 2, 1000)
    asked = [call.id for message in masked for call in message.tool_calls]
    answered = [message.tool_call_id for message in masked if message.role == "tool"]
    assert asked == answered


def turn(*paths: str) -> list[Message]:
    """A turn of a provider that counts its calls from 0 in every turn."""
    calls = tuple(ToolCall(id=f"call_{n}", name="read_file", arguments={"path": path}) for n, path in enumerate(paths))
    answers = [Message(role="tool", content=LONG, tool_call_id=call.id) for call in calls]
    return [Message(role="assistant", tool_calls=calls), *answers]


def test_a_note_names_its_own_call_though_later_turns_use_the_same_ids():
    messages = [message for n in range(6) for message in turn(f"a{n}.py", f"b{n}.py")]
    masked = mask_old(messages, 2, 1500)
    assert "path='a0.py'" in masked[1].content
    assert "path='b0.py'" in masked[2].content
    assert "path='a1.py'" in masked[4].content


def test_outputs_that_were_never_sent_are_masked_no_further_than_the_budget_asks():
    messages = turn(*(f"{n}.py" for n in range(20)))
    each = message_tokens(messages[1])
    budget = cost(messages) - each // 2
    masked = mask_old(messages, 6, budget)
    assert [message.content == LONG for message in masked[1:]] == [False] * 1 + [True] * 19
    assert cost(masked) <= budget
    masked = mask_old([*messages, *turn("more.py")], 6, budget)
    assert cost(masked) <= budget * 0.6 + each, "seen by now"


def test_short_outputs_are_kept():
    masked = mask_old(conversation("ok", LONG, LONG, LONG), 2, 900)
    assert masked[2].content == "ok"


def test_the_last_messages_are_kept_even_past_the_budget():
    messages = conversation(LONG, LONG)
    masked = mask_old(messages, 5, 10)
    assert masked == tuple(messages)


@given(st.lists(st.integers(1, 120), min_size=1, max_size=14), st.integers(200, 3000), st.integers(0, 6))
def test_what_was_sent_before_is_sent_again_in_the_same_words_once_it_is_masked(
    sizes: list[int], budget: int, keep: int
):
    messages = conversation(*("word " * size for size in sizes))
    before: tuple[Message, ...] = ()
    steps = 0
    for end in range(1, len(messages) + 1, 2):
        now = mask_old(messages[:end], keep, budget)
        assert [message.role for message in now] == [message.role for message in messages[:end]]
        for old, new in zip(before, now, strict=False):
            assert new == old or new.content.startswith("[output of")
        steps += now[: len(before)] != before
        before = now
    assert steps <= len(messages) / 2
