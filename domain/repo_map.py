"""Which definitions of a repository matter most for a story?

Files are nodes; a file that uses a name links to the files that define it. A random walk that keeps returning to what
the story names (PageRank with a personal vector) ranks files, and through the names they are asked for, definitions.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from .definitions import Definition, definitions, references
from .tokens import estimate_tokens

DAMPING = 0.85
ROUNDS = 30
COMMON = frozenset(
    """the and for with that this from when then will shall should must given user story have has are not can add new
    use all its one each they their which into test tests file files code data value name""".split()  # noqa: SIM905
)


@dataclass(frozen=True)
class RankedFile:
    """A file, its share of attention (all shares sum to 1), and its definitions with their weights."""

    path: str
    rank: float
    definitions: tuple[tuple[Definition, float], ...]


@dataclass(frozen=True)
class RepoMap:
    """A rendered map: how many of the repository's files and definitions are in it, and what it costs."""

    text: str
    files: int
    files_of: int
    definitions: int
    definitions_of: int
    tokens: int


def words_of(text: str) -> frozenset[str]:
    """The words of a text that may name code, in lower case, parts of compound names included."""
    found: set[str] = set()
    for word in re.findall(r"[A-Za-z_$][\w$]{2,}", text):
        parts = re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", word).replace("_", " ").lower().split()
        found |= {word.lower(), *(part for part in parts if len(part) > 2)}
    return frozenset(found - COMMON)


def rank_files(texts: Mapping[str, str], focus: str, named: Iterable[str] = ()) -> tuple[RankedFile, ...]:
    """Files by falling attention for a story whose words are `focus` and whose expected files are `named`."""
    paths = sorted(texts)
    if not paths:
        return ()
    defined = {path: definitions(path, texts[path]) for path in paths}
    home: dict[str, set[str]] = defaultdict(set)
    for path in paths:
        for definition in defined[path]:
            home[definition.name].add(path)
    links, asked = _links(paths, texts, home)
    wanted = words_of(focus)
    start = _starts(paths, defined, wanted, frozenset(named))
    ranks = _walk(paths, links, start)
    ranked = [
        RankedFile(path, ranks[path], tuple(_weighed(defined[path], ranks[path], asked[path], wanted)))
        for path in paths
    ]
    return tuple(sorted(ranked, key=lambda file: (-file.rank, file.path)))


def _links(
    paths: Sequence[str], texts: Mapping[str, str], home: Mapping[str, set[str]]
) -> tuple[dict[str, dict[str, float]], dict[str, Counter[str]]]:
    links: dict[str, dict[str, float]] = {path: defaultdict(float) for path in paths}
    asked: dict[str, Counter[str]] = {path: Counter() for path in paths}
    for path in paths:
        for name, times in references(texts[path]).items():
            homes = home.get(name)
            if not homes or path in homes:
                continue
            for target in homes:
                links[path][target] += math.sqrt(times) / len(homes)
                asked[target][name] += times
    return links, asked


def _starts(
    paths: Sequence[str], defined: Mapping[str, Sequence[Definition]], wanted: frozenset[str], named: frozenset[str]
) -> dict[str, float]:
    weights = {}
    for path in paths:
        in_path = len(words_of(path.replace("/", " ").replace(".", " ").replace("-", " ")) & wanted)
        in_names = sum(bool(words_of(definition.name) & wanted) for definition in defined[path])
        exact = sum(definition.name.lower() in wanted for definition in defined[path])
        weights[path] = 0.05 + in_path + math.log1p(in_names) + 2 * math.log1p(exact) + (10 if path in named else 0)
    total = sum(weights.values())
    return {path: weight / total for path, weight in weights.items()}


def _walk(
    paths: Sequence[str], links: Mapping[str, Mapping[str, float]], start: Mapping[str, float]
) -> dict[str, float]:
    ranks = dict(start)
    sums = {path: sum(links[path].values()) for path in paths}
    for _ in range(ROUNDS):
        loose = sum(ranks[path] for path in paths if not sums[path])
        nxt = {path: ((1 - DAMPING) + DAMPING * loose) * start[path] for path in paths}
        for path in paths:
            for target, weight in links[path].items():
                nxt[target] += DAMPING * ranks[path] * weight / sums[path]
        ranks = nxt
    return ranks


def _weighed(
    found: Sequence[Definition], rank: float, asked: Counter[str], wanted: frozenset[str]
) -> Iterable[tuple[Definition, float]]:
    for definition in found:
        near = len(words_of(definition.name) & wanted)
        private = 0.3 if definition.name.startswith("_") else 1.0
        yield definition, rank * private * (1 + math.log1p(asked[definition.name]) + 2 * near) / (1 + definition.depth)


def repo_map(texts: Mapping[str, str], focus: str, named: Iterable[str] = (), *, budget: int = 2_000) -> RepoMap:
    """The most relevant definitions of a repository, by file, in at most `budget` estimated tokens."""
    ranked = rank_files(texts, focus, named)
    every = [(weight, file.path, definition) for file in ranked for definition, weight in file.definitions]
    every.sort(key=lambda each: (-each[0], each[1], each[2].line))
    chosen: dict[str, list[Definition]] = defaultdict(list)
    spent = 0
    for _, path, definition in every:
        cost = estimate_tokens(_row(definition)) + (0 if path in chosen else estimate_tokens(f"\n{path}:\n"))
        if spent + cost <= budget:
            chosen[path].append(definition)
            spent += cost
    blocks = []
    for file in ranked:
        if file.path in chosen:
            rows = sorted(chosen[file.path], key=lambda definition: definition.line)
            blocks.append("\n".join([f"{file.path}:", *(_row(definition) for definition in rows)]))
        elif not file.definitions and spent + estimate_tokens(file.path) + 1 <= budget:
            blocks.append(file.path)
            spent += estimate_tokens(file.path) + 1
    text = "\n".join(blocks)
    return RepoMap(text, len(blocks), len(ranked), sum(map(len, chosen.values())), len(every), estimate_tokens(text))


def _row(definition: Definition) -> str:
    return f"{definition.line:>5}| {'    ' * definition.depth}{definition.signature}"
