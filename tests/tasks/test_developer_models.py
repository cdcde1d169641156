"""A persona's list of models is a list of fallbacks for developing and reviewing, too."""

from storyloom.domain.model_calls import Message, ModelRequest
from storyloom.domain.ports import ProjectRef
from storyloom.domain.routing import candidates, routing_policy
from storyloom.domain.settings import ProjectConfig
from storyloom.tasks.develop_turn import model_of
from storyloom.tasks.ports import Ports


def models_for(agents, persona):
    config = ProjectConfig.model_validate({"agents": agents})
    model = model_of(Ports(ProjectRef(repository="r"), config=config), persona)
    request = ModelRequest(
        purpose="work", persona=persona, model=model, system="", messages=(Message(role="user", content="x"),)
    )
    found = candidates(request, routing_policy(config, providers=["anthropic", "openai"]), price=lambda _: None)
    return [candidate.model for candidate in found]


def test_all_models_of_a_list_may_answer_in_their_order():
    named = ["anthropic/claude-sonnet-5-5", "openai/gpt-6.1-sol"]
    assert models_for({"amelia": named}, "amelia") == named
    assert models_for({"amelia": named[0]}, "amelia") == named[:1]
    assert len(models_for({}, "amelia")) > 1, "a class has fallbacks of its own"
