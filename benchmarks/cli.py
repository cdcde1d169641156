"""How long does `storyloom --help` take?  Median of ten, beside an empty Python and beside importing Prefect.

python -m benchmarks.cli
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

RUNS = 10
TARGET_S = 0.2
COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "storyloom --help": [sys.executable, "-c", "from storyloom.cli.main import main; main()", "--help"],
    "import prefect": [sys.executable, "-c", "import prefect"],
}


def median_s(command: list[str]) -> float:
    """The median wall time of a command over `RUNS` runs, in seconds, after one that is not counted."""
    taken = []
    for _ in range(RUNS + 1):
        begin = time.perf_counter()
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
        taken.append(time.perf_counter() - begin)
    return statistics.median(taken[1:])


def main() -> None:
    """Print each command's median and its ratio to an empty Python."""
    found = {name: median_s(command) for name, command in COMMANDS.items()}
    for name, seconds in found.items():
        print(f"{name:<18} {seconds:6.3f} s   {seconds / found['python -c pass']:5.1f} x an empty Python")
    ours = found["storyloom --help"]
    print(f"target {TARGET_S} s: {'met' if ours <= TARGET_S else 'missed'} (median of {RUNS})")


if __name__ == "__main__":
    main()
