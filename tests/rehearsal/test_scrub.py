"""Secrets go, wherever they stand and however they are cut up; all else stays."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from storyloom.rehearsal.scrub import SECRET, Scrubber

KEY = "sk-ant-api03-abcdefghijklmnop"
KEYS = [
    KEY,
    "sk-proj-abc123456789",
    "ghp_" + "a1" * 18,
    "github_pat_" + "A1" * 20,
    "glpat-" + "x" * 20,
    "AKIA" + "ABCD1234EFGH5678",
    "AIza" + "a" * 35,
    "xoxb-1234567890-abc",
    "eyJhbGciOiJIUzI1.eyJzdWIiOiIxMjM0.c2lnbmF0dXJl",
    "Bearer abcdefgh12345678",
    "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----",
]


@pytest.mark.parametrize("key", KEYS)
def test_every_known_shape_is_replaced(key: str):
    assert Scrubber().text(f"before {key} after") == f"before {SECRET} after"


def test_code_that_talks_about_keys_stays_as_it_is():
    code = 'api_key = os.environ["API_KEY"]\npassword: str = ""\nrisk-assessment-of-things\nbearer of news'
    assert Scrubber().text(code) == code


def test_named_values_go_too_and_short_ones_are_words():
    scrubber = Scrubber(["hunter2-hunter2", "abc"])
    assert scrubber.text("hunter2-hunter2 abc") == f"{SECRET} abc"
    scrubber.learn(["another-one"])
    assert scrubber.text("hunter2-hunter2 another-one") == f"{SECRET} {SECRET}"


@given(st.lists(st.integers(0, 60), max_size=8), st.text(alphabet="ab \n", max_size=20))
def test_a_secret_cut_into_pieces_anywhere_is_replaced_once(cuts: list[int], tail: str):
    text = f"see {KEY} {tail}"
    edges = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    pieces = [text[a:b] for a, b in pairwise(edges)]
    clean = Scrubber().pieces(pieces)
    assert len(clean) == len(pieces)
    assert "".join(clean) == f"see {SECRET} {tail}"


def test_a_secret_spread_over_events_of_one_channel_is_replaced_and_other_channels_stay():
    def event(index: int, text: str) -> str:
        return "data: " + json.dumps({"index": index, "delta": {"type": "text_delta", "text": text}})

    lines = [event(0, "key sk-ant"), event(1, "sk-ant"), event(0, "-api03-abcdefghij"), event(1, " is a prefix")]
    clean = Scrubber().events("\n\n".join(lines)).split("\n\n")
    texts = [json.loads(line[6:])["delta"]["text"] for line in clean]
    assert texts == [f"key {SECRET}", "sk-ant", "", " is a prefix"]
    assert clean[1] == lines[1]


def test_events_that_are_not_json_are_scrubbed_as_text():
    assert Scrubber().events(f"data: [DONE]\ndata: {{broken {KEY}\n: {KEY}") == (
        f"data: [DONE]\ndata: {{broken {SECRET}\n: {SECRET}"
    )


def test_values_are_scrubbed_to_their_leaves_and_names():
    assert Scrubber().value({KEY: [KEY, 1, None, {"a": KEY}]}) == {SECRET: [SECRET, 1, None, {"a": SECRET}]}
