"""No secret that is known or looks like one survives."""

from __future__ import annotations

import base64
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st
from storyloom.domain.redaction import MASK, Redactor, secrets_of

SECRET = st.text(string.ascii_letters + string.digits + "-_.!$*+?()[]\\", min_size=8, max_size=40)


@given(st.lists(SECRET, min_size=1, max_size=4), st.lists(st.text(max_size=30), min_size=1, max_size=5))
def test_a_known_secret_never_survives_whatever_surrounds_it(secrets: list[str], around: list[str]) -> None:
    text = "".join(piece + secret for piece in around for secret in secrets)
    cleaned = Redactor(secrets)(text)
    assert not any(secret in cleaned.replace(MASK, "") for secret in secrets if secret not in MASK)


@given(st.text())
def test_redacting_twice_is_redacting_once(text: str) -> None:
    redact = Redactor(["correct-horse-battery"])
    assert redact(redact(text)) == redact(text)


def test_the_longer_of_two_secrets_goes_first() -> None:
    assert Redactor(["password1", "password123"])("x password123 y") == f"x {MASK} y"


@pytest.mark.parametrize(
    "secret",
    [
        "sk-ant-api03-abcdefghij_klmnop-qrst",
        "sk-proj-abcdefghijklmnop1234",
        "sk-abcdefghijklmnop1234",
        "ghp_abcdefghijklmnopqrstuvwxyz0123456789",
        "github_pat_abcdefghijklmnopqrstuv",
        "glpat-abcdefghij_klmnopq",
        "xoxb-1234567890-abcdef",
        "AKIAABCDEFGHIJKLMNOP",
        "AIzaabcdefghijklmnopqrstuvwxyz0123456",
        "eyJhbGciOiJIUzI1.eyJzdWIiOiIxMjM0.SflKxwRJSMeKKF2QT4",
        "-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----",
        "-----BEGIN PRIVATE KEY-----\nabc, cut off",
    ],
)
def test_the_shapes_of_keys_are_known(secret: str) -> None:
    assert Redactor()(f"before {secret} after").startswith(f"before {MASK}")
    assert secret not in Redactor()(f"before {secret} after")


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("Authorization: Bearer abc.def", f"Authorization: {MASK}"),
        ("authorization: basic dXNlcjpwYXNz", f"authorization: {MASK}"),
        ("x-api-key: whatever", f"x-api-key: {MASK}"),
        ("postgresql://loom:hunter22@db/x", f"postgresql://{MASK}@db/x"),
    ],
)
def test_headers_and_urls_lose_their_credentials(text: str, cleaned: str) -> None:
    assert Redactor()(text) == cleaned


@given(st.text(st.characters(codec="utf-8", exclude_characters='"\\'), min_size=8, max_size=60), st.binary(max_size=7))
def test_a_known_secret_is_found_inside_base64_wherever_it_begins(secret: str, before: bytes) -> None:
    text = base64.b64encode(before + secret.encode() + b" and more").decode()
    cleaned = Redactor([secret]).known(text)
    assert MASK in cleaned
    assert len(cleaned.replace(MASK, "")) <= len(base64.b64encode(before + b" and more")) + 6
    assert MASK in Redactor([secret]).known(text.replace("+", "-").replace("/", "_"))


def test_a_known_secret_is_found_in_an_address_and_anywhere_in_a_json_value() -> None:
    redact = Redactor(["user:hunter/22+x"])
    assert (
        redact.known("http://h/?key=user%3Ahunter%2F22%2Bx&b=user%3Ahunter/22%2Bx") == f"http://h/?key={MASK}&b={MASK}"
    )
    value = {"a user:hunter/22+x": [1, None, {"b": "user:hunter/22+x!"}], "c": 1.5}
    assert redact.known_in(value) == {f"a {MASK}": [1, None, {"b": f"{MASK}!"}], "c": 1.5}


@pytest.mark.parametrize(
    "text", ["skeleton", "a task-list", "http://host:80/path", "ask-antonym", "sk-short", "", "ghp"]
)
def test_ordinary_words_stay(text: str) -> None:
    assert Redactor(["1234567"])(text) == text


def test_the_environments_secrets_are_told_by_their_names() -> None:
    environment = {
        "ANTHROPIC_API_KEY": "abcdefgh",
        "DB_PASSWORD": "12345678",
        "TOKEN": "short",
        "PATH": "/usr/local/bin",
    }
    assert secrets_of(environment) == ["abcdefgh", "12345678"]


def test_a_redactor_shows_none_of_what_it_knows() -> None:
    redact = Redactor(["correct-horse"]).knowing(["battery-staple"])
    assert repr(redact) == "Redactor(2 known secrets)"
    assert redact.known("correct-horse battery-staple sk-ant-looks-like-one") == f"{MASK} {MASK} sk-ant-looks-like-one"
