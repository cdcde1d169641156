"""Who speaks?  The method's personas, overridden by the project's."""

from __future__ import annotations

from ..domain.agent_reader import Persona, read_agent
from ..domain.errors import ConfigError
from .ports import Ports


def persona_of(ports: Ports, name: str) -> Persona:
    """The persona of a short name ("amelia").

    Raises:
        ConfigError: there is no such persona.
        DocumentError: its file is wrong.
    """
    path = f"personas/{name}.agent.yaml"
    text = ports.texts.read(path)
    if text is None:
        known = ", ".join(sorted(n.split("/")[-1].split(".")[0] for n in ports.texts.names("personas")))
        raise ConfigError(f"There is no persona {name!r}.", remedy=f"Known ones: {known}.")
    return read_agent(path, {path: text})
