"""Does a key stand in what all tests leave behind?  Called in CI after them, with the folder that they kept it in.

Every text in the tests that looks like a key is searched for, in each form and each kind of store; what is left out is
named with its reason.
"""

from __future__ import annotations

import re
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "faults"))

from key_search import places

TESTS = Path(__file__).parent
KEY = re.compile(r"[\"'](sk-[\w-]{12,}|rehearsal-needs-no-key)[\"']")
LEFT_OUT = {
    "test_a_search_finds_a_key": "keys are put there to be found",
    "test_what_eats_without_end": "files that fill a disk; nothing there has a key",
    "test_a_huge_file": "a file of zeros, as large as files may be",
}
ITS_OWN = ("/talk.yaml: ",)  # the script of a model that says a key, to see that no recording holds it


@cache
def keys() -> dict[str, str]:
    """The keys that tests use, by the key itself."""
    sources = [*TESTS.rglob("*.py"), TESTS.parent / "cli" / "demo.py"]
    return {key: key for source in sources for key in KEY.findall(source.read_text(encoding="utf-8"))}


def main(folder: str) -> int:
    """0 when no key was found."""
    start, kept = time.monotonic(), Path(folder)
    stores = [store for each in ("tests/popen-*/*", "homes/*") for store in kept.glob(each) if _is_looked_at(store)]
    with ProcessPoolExecutor() as pool:
        found = [place for some in pool.map(_places, stores, chunksize=8) for place in some]
    found = [place for place in found if not any(each in place for each in ITS_OWN)]
    for place in found:
        print(f"a key stands in {place}")
    print(f"{len(keys())} keys in {len(stores)} folders: {len(found)} places, {time.monotonic() - start:.0f} s")
    return 1 if found or len(keys()) < 10 or len(stores) < 10 else 0


def _is_looked_at(store: Path) -> bool:
    return store.is_dir() and not store.is_symlink() and not store.name.startswith(tuple(LEFT_OUT))


def _places(store: Path) -> list[str]:
    return [f"{store.parent.name}/{store.name}/{place}" for place in places(store, keys())]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
