from storyloom.domain import wire_anthropic, wire_openai
from storyloom.domain.model_calls import Message, ModelRequest

MARK = {"type": "ephemeral"}


def request(cache_system, marked=5):
    messages = tuple(Message(role="user", content=str(n), cache=n < marked) for n in range(6))
    return ModelRequest(persona="john", model="m", system="Who", cache_system=cache_system, messages=messages)


def test_a_marked_system_text_takes_one_of_the_four_marks():
    turns = wire_anthropic.messages(request(True))
    assert sum("cache_control" in block for turn in turns for block in turn["content"]) == 3
    assert sum("cache_control" in b for t in wire_anthropic.messages(request(False)) for b in t["content"]) == 4
    wire = wire_openai.messages(request(True), cache_marks=True)
    assert wire[0] == {"role": "system", "content": [{"type": "text", "text": "Who", "cache_control": MARK}]}
    assert sum(isinstance(message["content"], list) for message in wire[1:]) == 3


def test_a_mark_goes_only_where_the_vendor_takes_it():
    assert wire_openai.messages(request(True), cache_marks=False)[0] == {"role": "system", "content": "Who"}


def test_a_mark_changes_no_key():
    assert request(True).content_key() == request(False, marked=0).content_key()
