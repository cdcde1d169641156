"""A link cannot be forged, altered or kept for ever."""

import pytest
from storyloom.domain.links import BadTicket, Ticket, read, sign

KEY = b"k" * 32
TICKET = Ticket(project="/srv/shelf", question="q-1", by="anna", expires=1000, answer="hex", digest="d")


def test_a_signed_ticket_reads_back():
    assert read(sign(TICKET, KEY), KEY, now=999) == TICKET


@pytest.mark.parametrize("word", ["", "1", "a.b.c", "1.x.y", "1.é.y", "1." + "A" * 5000 + ".B", "2" + "x"])
def test_what_is_no_ticket_is_refused(word):
    with pytest.raises(BadTicket):
        read(word, KEY, now=0)


def test_every_altered_character_is_noticed():
    word = sign(TICKET, KEY)
    for at in range(2, len(word) - 1):
        other = word[:at] + ("A" if word[at] != "A" else "B") + word[at + 1 :]
        with pytest.raises(BadTicket):
            read(other, KEY, now=0)


def test_another_key_and_a_past_hour_are_refused():
    with pytest.raises(BadTicket, match="not made here"):
        read(sign(TICKET, KEY), b"other", now=0)
    with pytest.raises(BadTicket, match="expired"):
        read(sign(TICKET, KEY), KEY, now=1000)
