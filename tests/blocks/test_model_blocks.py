"""An operator can give a model and a budget in Prefect, and the key shows nowhere."""

from __future__ import annotations

import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest
from prefect.settings import PREFECT_API_URL
from pydantic import SecretStr, ValidationError
from storyloom.blocks.language_model import LanguageModel
from storyloom.blocks.model_budget import ModelBudget
from storyloom.domain.budget import Cap, Scope
from storyloom.domain.errors import BudgetExceeded, ModelUnpriced
from storyloom.domain.model_calls import CallTags
from storyloom.rehearsal.conversation import Conversation
from storyloom.rehearsal.script_files import Entry
from storyloom.rehearsal.server import RehearsalServer

KEY = "sk-ant-block-0123456789abcdefghij"
TALK = Conversation([Entry(text="fine")])


def model(folder: Path, server: RehearsalServer, **changes: object) -> LanguageModel:
    given = {"model": "openai/gpt-6-luna", "api_key": KEY, "base_url": server.openai_base, "folder": str(folder)}
    return LanguageModel.model_validate({**given, **changes})


def test_a_budget_block_says_its_caps() -> None:
    assert ModelBudget().caps() == {"project": Cap(usd=Decimal(50))}
    caps = ModelBudget(run_usd=Decimal(3), run_tokens=1000, project_usd=None, day_tokens=5).caps()
    assert caps == {"run": Cap(usd=Decimal(3), tokens=1000), "day": Cap(tokens=5)}
    with pytest.raises(ValidationError):
        ModelBudget(run_usd=Decimal(-1))


def test_a_budget_block_shows_and_raises_caps_for_all(tmp_path: Path) -> None:
    budget = ModelBudget(run_usd=Decimal(1), ledger_url=SecretStr(f"sqlite:///{tmp_path}/ledger.db"))
    ledger = budget.open_ledger()
    tags = CallTags(project="shelf", run="r1")
    ledger.reserve("a", tags, usd=Decimal(1), tokens=7)
    assert budget.spent("run", "r1").usd_reserved == 1
    with pytest.raises(BudgetExceeded):
        ledger.reserve("b", tags, usd=Decimal(1), tokens=7)
    budget.raise_cap("run", "r1", usd=2.5)
    ledger.reserve("b", tags, usd=Decimal(1), tokens=7)
    assert ledger.spent(Scope(kind="run", id="r1")).cap == Cap(usd=Decimal("2.5"))
    ledger.close()


def test_a_model_block_answers_once_and_then_from_its_journal(tmp_path: Path) -> None:
    with RehearsalServer(TALK) as server:
        block = model(tmp_path, server)
        reply = block.ask("How are you?", system="You are Amelia.")
        assert (reply.content, reply.cached) == ("fine", False)
        assert model(tmp_path, server).ask("How are you?", system="You are Amelia.").cached
        assert len(server.calls) == 1


def test_a_model_block_keeps_to_its_budget(tmp_path: Path) -> None:
    with RehearsalServer(TALK) as server:
        poor = ModelBudget(project_usd=Decimal("0.0001"))
        with pytest.raises(BudgetExceeded):
            model(tmp_path, server, budget=poor).ask("How are you?")
        assert server.calls == []


def test_a_model_that_nobody_knows_needs_a_price_and_zero_says_free(tmp_path: Path) -> None:
    with RehearsalServer(TALK) as server:
        with pytest.raises(ModelUnpriced):
            model(tmp_path, server, model="openai/own").ask("How are you?")
        free = model(tmp_path, server, model="openai/own", input_price=0, output_price=0)
        assert free.ask("How are you?").cost == 0
        dear = model(tmp_path, server, model="openai/other", input_price=1000, output_price=1000)
        assert dear.ask("How are you?").cost > 0


def test_the_key_shows_nowhere(tmp_path: Path) -> None:
    with RehearsalServer(TALK) as server:
        block = model(tmp_path, server)
        block.ask("How are you?")
        texts = [repr(block), str(block), str(block.model_dump()), block.model_dump_json(), repr(block.endpoint())]
        texts += [path.read_text("utf-8", "replace") for path in tmp_path.rglob("*") if path.is_file()]
        assert not [text for text in texts if KEY in text]


@pytest.mark.server
@pytest.mark.usefixtures("prefect_harness")
def test_blocks_are_registered_saved_and_loaded_with_their_fallbacks(tmp_path: Path) -> None:
    environment = {**os.environ, "PREFECT_API_URL": str(PREFECT_API_URL.value())}
    for module in ("language_model", "model_budget"):
        command = [sys.executable, "-m", "prefect", "block", "register", "-m", f"storyloom.blocks.{module}"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "Successfully registered" in done.stdout
    with RehearsalServer(TALK) as server:
        ModelBudget(run_usd=Decimal(3)).save("nightly", _sync=True)
        claude = model(tmp_path, server, model="anthropic/claude-haiku-5-5", base_url=server.anthropic_base)
        claude.save("light", _sync=True)
        nightly = ModelBudget.load("nightly", _sync=True)
        model(tmp_path, server, fallbacks=["light"], budget=nightly).save("standard", _sync=True)

        block = LanguageModel.load("standard", _sync=True)
        assert isinstance(block, LanguageModel)
        assert isinstance(block.api_key, SecretStr)
        assert block.budget is not None
        assert block.budget.caps()["run"] == Cap(usd=Decimal(3))
        server.down("openai", kind="unauthorised")
        server.down("openai", kind="overloaded")
        reply = block.ask("How are you?")
        assert reply.model == "anthropic/claude-haiku-5-5"
