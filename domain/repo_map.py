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
from functools import lru_cache

from .definitions import Definition, definitions, references
from .tokens import estimate_tokens

DAMPING = 0.6  # how far attention strays from what the story names; the web's 0.85 ends at what everybody uses
ROUNDS = 15
COMMON = frozenset(
    """the and for with that this from when then will shall should must given user story have has are not can add new
    use all its one each they their which into test tests file files code data value name""".split()  # noqa: SIM905
)
WORD = re.compile(r"[^\W\d][\w$]{2,}|\$[\w$]{2,}")
PAIRED = re.compile(r"[\u0900-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff]+")
"""Scripts without spaces, with words of two signs, or with vowels that are no letters to `re`: India's and Asia's."""


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


@lru_cache(maxsize=65_536)
def words_of(text: str) -> frozenset[str]:
    """The words of a text that may name code: in lower case, compound names also in parts, without simple endings.

    Where a script does not tell words apart, each pair of neighbouring signs is one.
    """
    found: set[str] = set()
    for run in PAIRED.findall(text):
        found.update(run[at : at + 2] for at in range(len(run) - 1))
    for word in WORD.findall(PAIRED.sub(" ", text)):
        parts = re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", word).replace("_", " ").lower().split()
        kept = [part for part in parts if len(part) > 2 and part not in COMMON]
        found |= {word.lower(), *(stem(part) for part in kept)} - COMMON
    return frozenset(found)


def stem(word: str) -> str:
    """A word without the ending that tells "caches", "cached" and "caching" apart; short words stay."""
    for ending, least in (("ing", 6), ("ed", 5), ("s", 4)):
        if word.endswith(ending) and len(word) >= least and not word.endswith("ss"):
            word = word[: -len(ending)]
            if ending != "s" and len(word) > 3 and word[-1] == word[-2]:
                word = word[:-1]
            break
    return word[:-1] if word.endswith("e") and len(word) > 3 else word


def rank_files(texts: Mapping[str, str], focus: str, named: Iterable[str] = ()) -> tuple[RankedFile, ...]:
    """Files by falling attention for a story whose words are `focus` and whose expected files are `named`."""
    paths = sorted(texts)
    if not paths:
        return ()
    defined = {path: definitions(path, texts[path]) for path in paths}
    wanted = words_of(focus)
    uses = _uses(paths, texts, defined, wanted)
    start = _starts(paths, defined, wanted, frozenset(named))
    ranks = _walk(paths, uses, start)
    asked: dict[str, float] = defaultdict(float)
    for path in paths:
        for name in uses.of[path]:
            asked[name] += ranks[path]
    ranked = [
        RankedFile(path, ranks[path], tuple(_weighed(defined[path], ranks[path], asked, wanted))) for path in paths
    ]
    return tuple(sorted(ranked, key=lambda file: (-file.rank, file.path)))


@dataclass(frozen=True)
class _Uses:
    """How strongly each file uses each name of other files, and what share of that each file gets that defines it.

    Kept apart, since files that use a name times files that define it may be more than a repository has bytes.
    """

    of: Mapping[str, Mapping[str, float]]
    homes: Mapping[str, Mapping[str, float]]


def _uses(
    paths: Sequence[str],
    texts: Mapping[str, str],
    defined: Mapping[str, Sequence[Definition]],
    wanted: frozenset[str],
) -> _Uses:
    home: dict[str, dict[str, int]] = defaultdict(dict)
    for path in paths:
        for definition in defined[path]:
            home[definition.name][path] = min(definition.depth, home[definition.name].get(path, definition.depth))
    used = {path: references(texts[path]) for path in paths}
    users = Counter(name for path in paths for name in used[path] if name in home)
    worth = {name: _telling(name, wanted) * math.log(1 + len(paths) / users[name]) for name in users}
    of = {
        path: {
            name: math.sqrt(times) * worth[name]
            for name, times in used[path].items()
            if name in home and path not in home[name]
        }
        for path in paths
    }
    homes = {
        name: {path: 1 / len(depths) / (1 if depth == 0 else 5) for path, depth in depths.items()}
        for name, depths in home.items()
    }
    return _Uses(of, homes)


def _telling(name: str, wanted: frozenset[str]) -> float:
    """How much a name's use says: long and compound names are meant, short common words may be anything."""
    compound = "_" in name.strip("_") or re.search(r"[a-z][A-Z]", name) is not None
    size = 1.0 if len(name) >= 8 or compound or name[:1].isupper() else 0.2
    return size * (4 if words_of(name) & wanted else 1) * (0.2 if name.startswith("_") else 1)


def _starts(
    paths: Sequence[str], defined: Mapping[str, Sequence[Definition]], wanted: frozenset[str], named: frozenset[str]
) -> dict[str, float]:
    """Where the walk begins: at files whose paths and definitions share rare words with the story."""
    in_path = {path: words_of(re.sub(r"[/.\-]", " ", path)) & wanted for path in paths}
    in_names = {
        path: frozenset().union(*(words_of(definition.name) for definition in defined[path])) & wanted for path in paths
    }
    often = Counter(word for path in paths for word in in_path[path] | in_names[path])
    worth = {word: math.log1p(len(paths) / often[word]) for word in often}
    weights = {
        path: 0.05
        + 2 * math.fsum(worth[word] for word in in_path[path])  # exact: a set has no order
        + math.fsum(worth[word] for word in in_names[path])
        + (20 if path in named else 0)
        for path in paths
    }
    total = sum(weights.values())
    return {path: weight / total for path, weight in weights.items()}


def _walk(paths: Sequence[str], uses: _Uses, start: Mapping[str, float]) -> dict[str, float]:
    ranks = dict(start)
    shares = {name: sum(homes.values()) for name, homes in uses.homes.items()}
    sums = {path: sum(weight * shares[name] for name, weight in uses.of[path].items()) for path in paths}
    for _ in range(ROUNDS):
        loose = sum(ranks[path] for path in paths if not sums[path])
        nxt = {path: ((1 - DAMPING) + DAMPING * loose) * start[path] for path in paths}
        given: dict[str, float] = defaultdict(float)
        for path in paths:
            for name, weight in uses.of[path].items():
                given[name] += DAMPING * ranks[path] * weight / sums[path]
        for name, attention in given.items():
            for target, share in uses.homes[name].items():
                nxt[target] += attention * share
        ranks = nxt
    return ranks


def _weighed(
    found: Sequence[Definition],
    rank: float,
    asked: Mapping[str, float],
    wanted: frozenset[str],
) -> Iterable[tuple[Definition, float]]:
    """Definitions with what they matter: by their file, by the files that ask for them, and by the story's words."""
    for definition in found:
        near = len(words_of(definition.name) & wanted)
        users = asked.get(definition.name, 0.0)
        telling = _telling(definition.name, frozenset())
        asked_for = users * telling if telling >= 1 else 0.0  # a short name is used by chance in many files
        yield definition, rank * (0.2 + asked_for) * (1 + near * telling) / (1 + definition.depth)


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
