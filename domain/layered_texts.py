"""Which of several sources has a text: the first that knows its path."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cached_property

from .ports import Texts


class LayeredTexts:
    """Texts of several sources as one. Sources are made when they are first needed."""

    def __init__(self, *layers: Callable[[], Texts]) -> None:
        self._makers = layers

    @cached_property
    def layers(self) -> tuple[Texts, ...]:
        """The sources, the first one before the others."""
        return tuple(make() for make in self._makers)

    def read(self, path: str) -> str | None:
        """The text of the first source that has one."""
        found = (layer.read(path) for layer in self.layers)
        return next((text for text in found if text is not None), None)

    def names(self, under: str) -> Iterable[str]:
        """Paths below a folder in any source, each once, sorted."""
        return sorted({name for layer in self.layers for name in layer.names(under)})
