"""Values that cross processes survive the crossing."""

from decimal import Decimal

from storyloom.domain.model_calls import CallTags, Message, ModelReply, ModelRequest, Usage


def request(**changes: object) -> ModelRequest:
    values = {"persona": "amelia", "model": "standard", "system": "s", "messages": (Message(role="user", content="x"),)}
    return ModelRequest.model_validate({**values, **changes})


def test_tags_and_cache_marks_do_not_change_what_a_request_is():
    marked = request(tags=CallTags(story="1.2"), messages=(Message(role="user", content="x", cache=True),))
    assert marked.content_key() == request().content_key()
    assert request(sample=1).content_key() != request().content_key()


def test_a_reply_survives_json_to_the_last_digit():
    reply = ModelReply(content="ok", cost=Decimal("0.000000123"), usage=Usage(input=3, output=4))
    assert ModelReply.model_validate_json(reply.model_dump_json()) == reply
