"""The seal around the tests holds."""

import os
import socket
from pathlib import Path

import pytest


def test_no_test_reaches_another_machine():
    with socket.socket() as s, pytest.raises(AssertionError, match="tried to connect"):
        s.connect(("192.0.2.1", 80))
    with socket.socket() as s, pytest.raises(AssertionError, match="tried to connect"):
        s.connect_ex(("192.0.2.1", 80))


def test_no_test_sees_the_persons_home_or_keys():
    assert "storyloom-tests-" in str(Path.home())
    assert not [name for name in os.environ if name.endswith("_API_KEY")]
