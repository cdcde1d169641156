"""What does a source file define, and which names does it use?"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

SIGNATURE_SIGNS = 160
KEPT = 8_192  # answers for as many files: the stories of one run read the same repository again and again
IDENTIFIER = re.compile(r"[A-Za-z_$][\w$]{2,}")


@dataclass(frozen=True)
class Definition:
    """A name that a file defines. `line` is 1-based, `signature` one line, `depth` how far it is nested."""

    name: str
    line: int
    signature: str
    depth: int = 0


JS = (
    r"^\s*(?:export\s+)?(?:default\s+)?(?:async\s+)?function\*?\s+(?P<name>[\w$]+)",
    r"^\s*(?:export\s+)?(?:default\s+)?(?:abstract\s+)?class\s+(?P<name>[\w$]+)",
    r"^\s*(?:export\s+)?(?:declare\s+)?(?:interface|enum|namespace)\s+(?P<name>[\w$]+)",
    r"^\s*(?:export\s+)?type\s+(?P<name>[\w$]+)\s*(?:<.*?>)?\s*=",
    r"^(?:export\s+)?(?:const|let|var)\s+(?P<name>[\w$]+)\s*(?::[^=]+)?=",
    r"^\s+(?:(?:public|private|protected|static|async|get|set|readonly)\s+)*"
    r"(?P<name>(?!if\b|for\b|while\b|switch\b|catch\b|return\b|function\b)[\w$]+)\s*\([^;]*\)\s*(?::[^{;]+)?\{\s*$",
)
GO = (
    r"^func\s+(?:\([^)]*\)\s*)?(?P<name>\w+)",
    r"^type\s+(?P<name>\w+)",
    r"^(?:var|const)\s+(?P<name>\w+)",
)
RUST = (
    r"^\s*(?:pub(?:\([^)]*\))?\s+)?(?:const\s+|async\s+|unsafe\s+|extern\s+\"C\"\s+)*fn\s+(?P<name>\w+)",
    r"^\s*(?:pub(?:\([^)]*\))?\s+)?(?:struct|enum|trait|type|union|mod)\s+(?P<name>\w+)",
    r"^\s*(?:pub(?:\([^)]*\))?\s+)?(?:const|static)\s+(?P<name>\w+)\s*:",
    r"^\s*macro_rules!\s*(?P<name>\w+)",
)
JAVA = (
    r"^\s*(?:(?:public|private|protected|static|final|abstract|sealed)\s+)*"
    r"(?:class|interface|enum|record|@interface)\s+(?P<name>\w+)",
    r"^\s+(?:(?:public|private|protected|static|final|abstract|synchronized|default|native)\s+)*"
    r"(?:<[^>]+>\s+)?(?!return\b|new\b|else\b|throw\b)[\w<>\[\], .?]+\s+(?P<name>\w+)\s*"
    r"\([^;]*(?:\{|,|\)|throws.*)\s*$",
)
KOTLIN = (
    r"^\s*(?:(?:public|private|protected|internal|abstract|open|sealed|data|enum|annotation|inner|value|companion|fun)\s+)*"
    r"(?:class|interface|object)\s+(?P<name>\w+)",
    r"^\s*(?:@\w+\s+)*(?:[a-z]+\s+)*fun\s+(?:<[^>]+>\s+)?(?:[\w<>?, ]+\.)?(?P<name>\w+)\s*\(",
    r"^(?:[a-z]+\s+)*va[lr]\s+(?P<name>\w+)",
)
CSHARP = (
    r"^\s*(?:[a-z]+\s+)*(?:class|interface|enum|struct|record(?:\s+(?:class|struct))?)\s+(?P<name>\w+)",
    r"^\s+(?!(?:return|new|else|throw|await|yield|where|select|case|when|and|or)\b)(?:[\w<>\[\],.?]+\s+)+(?P<name>\w+)\s*"
    r"(?:<[^>]+>\s*)?\(",
)
C = (
    r"^(?!return\b|else\b|if\b|for\b|while\b|switch\b|typedef\b)[A-Za-z_][\w\s*&:<>,~]*?[\s*&](?P<name>~?\w+)\s*\([^;]*$",
    r"^\s*(?:typedef\s+)?(?:struct|union|enum|class)\s+(?P<name>\w+)\s*(?:[:{].*)?$",
    r"^\s*#\s*define\s+(?P<name>\w+)",
    r"^namespace\s+(?P<name>\w+)",
)
RUBY = (
    r"^\s*(?:class|module)\s+(?P<name>[\w:]+)",
    r"^\s*def\s+(?:self\.)?(?P<name>\w+[?!=]?)",
    r"^\s*(?P<name>[A-Z][A-Z0-9_]+)\s*=",
)
PYTHON = (r"^\s*(?:async\s+)?def\s+(?P<name>\w+)", r"^\s*class\s+(?P<name>\w+)")

LANGUAGES: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("js", "jsx", "mjs", "cjs", "ts", "tsx", "mts", "cts"), JS),
    **dict.fromkeys(("c", "h", "cc", "cpp", "cxx", "hh", "hpp"), C),
    "java": JAVA,
    "kt": KOTLIN,
    "cs": CSHARP,
    "go": GO,
    "rs": RUST,
    "rb": RUBY,
    "py": PYTHON,
    "pyi": PYTHON,
}
"""File endings and the regular expressions, line by line, whose `name` is a definition; Python only if ast fails."""


@lru_cache(maxsize=KEPT)
def definitions(path: str, text: str) -> tuple[Definition, ...]:
    """What a file defines, in its own order; empty for a language that is not known."""
    ending = path.rsplit(".", 1)[-1].lower()
    if ending in ("py", "pyi"):
        try:
            return tuple(_python(ast.parse(text), 0))
        except (SyntaxError, ValueError, RecursionError, MemoryError):  # the last: nested too deeply for its parser
            pass
    return tuple(_by_patterns(LANGUAGES.get(ending, ()), text))


@lru_cache(maxsize=KEPT)
def references(text: str) -> Mapping[str, int]:
    """How often each identifier occurs in a text."""
    return MappingProxyType(Counter(IDENTIFIER.findall(text)))


def _python(tree: ast.AST, depth: int) -> Iterator[Definition]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            mark = "async def" if isinstance(node, ast.AsyncFunctionDef) else "def"
            gives = f" -> {ast.unparse(node.returns)}" if node.returns else ""
            said = f"{mark} {node.name}({ast.unparse(node.args)}){gives}"
            yield Definition(node.name, node.lineno, _short(said), depth)
        elif isinstance(node, ast.ClassDef):
            over = ", ".join(ast.unparse(parent) for parent in node.bases)
            yield Definition(
                node.name, node.lineno, _short(f"class {node.name}({over})" if over else f"class {node.name}"), depth
            )
            yield from _python(node, depth + 1)
        elif isinstance(node, ast.Assign | ast.AnnAssign) and depth == 0:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in targets:
                if isinstance(target, ast.Name) and target.id.isupper():
                    yield Definition(target.id, node.lineno, _short(ast.unparse(node)), depth)
        elif isinstance(node, ast.If | ast.Try) and depth == 0:
            yield from _python(node, depth)


def _by_patterns(patterns: tuple[str, ...], text: str) -> Iterator[Definition]:
    compiled = [re.compile(pattern) for pattern in patterns]
    for number, row in enumerate(text.split("\n"), 1):  # counted as when a file is read
        if len(row) > 1_000:
            continue
        nested = int(row[:1] in (" ", "\t"))
        plain = " " * nested + " ".join(row.split())  # a long run of spaces is tried in every way of dividing it
        for pattern in compiled:
            found = pattern.match(plain)
            if found:
                yield Definition(found.group("name"), number, _short(plain.strip().rstrip("{").rstrip()), nested)
                break


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= SIGNATURE_SIGNS else line[: SIGNATURE_SIGNS - 1] + "…"
