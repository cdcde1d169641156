"""How long does each report take over a million calls, and over ten?

Synthetic calls go through the real spool format and the real ingester, then every report runs five times; the median
counts. With ten million rows the facts are written straight into the table (the ingester is measured on the first).

    python benchmarks/analytics.py                   # 1,000,000 calls: target 100 ms a report
    python benchmarks/analytics.py --calls 10000000  # target 1 s a report
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from storyloom.analytics.columns import flat_columns
from storyloom.analytics.ingest import ingest
from storyloom.analytics.report import fetch, reports
from storyloom.analytics.warehouse import reading, writing

INGESTED = 1_000_000
ROUNDS = 5
SPOOL_FILES = 40

# A year of work: 20 projects, 400 runs of which a few are rehearsed, 4,000 stories; prices are plausible, not real.
MAKE = """
CREATE TEMP TABLE made AS
WITH n AS (
  SELECT i, (hash(i) % 1000003)::BIGINT AS a, (hash(i + 77) % 1000003)::BIGINT AS b FROM range({first}, {last}) AS r(i)
), shaped AS (
  SELECT i, a, b, i % 20 AS project, i % 400 AS run, (i % 4000)::INT AS story, 500 + a % 9000 AS tin,
    100 + b % 3000 AS tout, TIMESTAMP '2026-01-01' + to_milliseconds((i * 31536000000.0 / {all})::BIGINT) AS ts,
    a % 100 AS luck
  FROM n
)
SELECT 'model_call' AS event, sha256('call' || i) AS event_id, ts,
  sha256('logical' || i) AS logical_call_id, 1 + (luck < 6)::INT AS attempt_no,
  {{'project': 'project-' || project, 'run': 'run-' || run,
    'phase': ['analysis', 'planning', 'solutioning', 'implementation', 'implementation', 'quality'][1 + b % 6],
    'workflow': 'dev-story', 'step': 'turn', 'epic': CASE WHEN luck < 85 THEN (story % 9)::VARCHAR ELSE '' END,
    'story': CASE WHEN luck < 85 THEN (story % 9) || '-' || story || '-some-title' ELSE '' END,
    'agent': ['mary', 'john', 'winston', 'bob', 'amelia', 'quinn'][1 + a % 6], 'attempt': 1 + (luck % 7 = 0)::INT,
    'turn': (b % 30)::INT}} AS tags,
  ['work', 'work', 'work', 'work', 'review', 'repair', 'judge'][1 + b % 7] AS purpose,
  ['anthropic', 'openai'][1 + i % 2] AS provider, 'standard' AS model_requested,
  ['claude-a', 'gpt-a', 'claude-b', 'gpt-b', 'claude-c', 'gpt-c'][1 + i % 6] AS model,
  {{'input': tin, 'cache_read': tin * 3, 'cache_write': a % 800, 'cache_write_1h': 0, 'output': tout, 'reasoning': 0,
    'source': 'provider'}} AS usage,
  CASE WHEN luck = 99 THEN NULL ELSE ((tin * 2 + tin * 3 * 0.2 + tout * 10) / 1000000)::DECIMAL(18,12) END AS cost,
  CASE WHEN luck = 99 THEN NULL ELSE ((tin * 8 + tout * 10) / 1000000)::DECIMAL(18,12) END AS cost_if_uncached,
  CASE WHEN luck = 99 THEN 'unpriced' ELSE 'priced' END AS cost_status, 0.4 + b / 200000.0 AS latency_s,
  0.2 + a / 900000.0 AS ttft_s,
  CASE WHEN luck < 3 THEN 'error' WHEN luck = 3 THEN 'unknown' WHEN luck = 4 THEN 'cache_hit' ELSE 'ok' END AS status,
  CASE WHEN luck < 2 THEN 429 WHEN luck = 2 THEN 529 ELSE 200 END AS http_status, '' AS error_class,
  'end' AS stop_reason, CASE WHEN luck = 98 THEN 'instead of claude-a: busy' ELSE '' END AS fallback_reason,
  sha256('prompt' || i) AS prompt_sha256
FROM shaped
"""
OTHERS = {  # the name of a spool file: the rows in it
    "stories": """
SELECT 'story' AS event, sha256('story' || i || s) AS event_id, 'Some title' AS title, 1 + i % 8 AS points,
  {'project': 'project-' || (i % 20), 'run': 'run-' || (i % 400), 'epic': (i % 9)::VARCHAR,
   'story': (i % 9) || '-' || i || '-some-title'} AS tags,
  ['ready-for-dev', 'in-progress', 'review', 'done'][s] AS to_status,
  TIMESTAMP '2026-01-01' + to_hours((2 * i + 7 * s)::INT) AS ts
FROM range(4000) AS r(i), range(1, 5) AS q(s) WHERE s < 4 OR i % 10 < 8""",
    "gates": """
SELECT 'gate' AS event, sha256('gate' || i) AS event_id, ['tests', 'review'][1 + i % 2] AS gate,
  {'project': 'project-' || (i % 20), 'story': (i // 3)::VARCHAR} AS tags,
  CASE WHEN hash(i) % 4 = 0 THEN 'fail' ELSE 'pass' END AS verdict,
  TIMESTAMP '2026-01-01' + to_minutes((40 * i)::INT) AS ts
FROM range(12000) AS r(i)""",
    "merges": """
SELECT 'merge' AS event, sha256('merge' || i) AS event_id, 'c' AS "commit",
  {'project': 'project-' || (i % 20), 'story': (i % 9) || '-' || i || '-some-title'} AS tags,
  TIMESTAMP '2026-01-02' + to_hours((2 * i + 30)::INT) AS ts
FROM range(3200) AS r(i)""",
    "deploys": """
SELECT 'deploy' AS event, sha256('deploy' || i) AS event_id, 'local' AS target, i::VARCHAR AS release,
  {'project': 'project-' || (i % 20)} AS tags, CASE WHEN i % 11 = 0 THEN 'rolled_back' ELSE 'healthy' END AS outcome,
  TIMESTAMP '2026-01-02' + to_hours((8 * i)::INT) AS ts
FROM range(900) AS r(i)""",
    "decisions": """
SELECT 'decision' AS event, sha256('decision' || i) AS event_id, 'Which?' AS question, 'This.' AS answer,
  {'project': 'project-' || (i % 20)} AS tags, (i % 100) / 100.0 AS confidence,
  ['model', 'person', 'policy'][1 + i % 3] AS source, TIMESTAMP '2026-01-02' + to_hours((4 * i)::INT) AS ts
FROM range(2000) AS r(i)""",
    "runs": """
SELECT 'run' AS event, sha256('run' || i) AS event_id, 'run' AS name, 'started' AS state,
  {'project': 'project-' || (i % 20), 'run': 'run-' || i} AS tags, TIMESTAMP '2026-01-01' AS ts,
  CASE WHEN i % 50 = 0 THEN 'rehearsal' ELSE 'live' END AS mode
FROM range(400) AS r(i)""",
}
UTC = "strftime(ts, '%Y-%m-%dT%H:%M:%S.%f+00:00') AS ts"


@contextmanager
def timed(what: str, per: int = 0) -> Iterator[None]:
    """Print how long the block took, and how many a second that is."""
    began = time.perf_counter()
    yield
    took = time.perf_counter() - began
    print(f"{what:44}{took:9.2f} s" + (f"{per / took:12,.0f} a second" if per else ""))


def build(folder: Path, calls: int) -> Path:
    """A warehouse of `calls` synthetic calls and what happened around them."""
    import duckdb

    spool, warehouse = folder / "spool", folder / "warehouse.duckdb"
    spool.mkdir()
    first = min(calls, INGESTED)
    with timed(f"spool of {first:,} calls written (not counted)"), duckdb.connect() as maker:
        for name, rows in OTHERS.items():
            maker.execute(f"COPY (SELECT * REPLACE ({UTC}) FROM ({rows})) TO '{spool}/{name}.jsonl' (FORMAT json)")
        maker.execute(MAKE.format(first=0, last=first, all=calls))
        size = -(-first // SPOOL_FILES)
        for number in range(SPOOL_FILES):
            rows = f"SELECT * REPLACE ({UTC}) FROM made LIMIT {size} OFFSET {number * size}"
            maker.execute(f"COPY ({rows}) TO '{spool}/calls-{number:02d}.jsonl' (FORMAT json)")
    with timed("ingested", first):
        done = ingest(spool, warehouse)
    assert done.bad_lines == 0, done
    with timed("ingested again: nothing is new"):
        assert ingest(spool, warehouse).events == 0
    names = ", ".join(f'"{name}"' for name in flat_columns("model_call"))
    flat = ", ".join("ts" if name == "ts" else text for name, text in flat_columns("model_call").items())
    for start in range(first, calls, INGESTED):
        with writing(warehouse) as database:
            database.execute(MAKE.format(first=start, last=min(calls, start + INGESTED), all=calls))
            database.execute(f"INSERT INTO fact_call ({names}) SELECT {flat} FROM made")
    return warehouse


def main(arguments: list[str] | None = None) -> int:
    """Build, run, print; 1 when a report took longer than its target."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=1_000_000)
    parser.add_argument("--keep", type=Path, help="build the warehouse in this folder and leave it there")
    given = parser.parse_args(arguments)
    target_ms = 100 if given.calls <= 1_000_000 else 1000
    with tempfile.TemporaryDirectory() as scratch:
        folder = given.keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        warehouse = build(folder, given.calls)
        print(f"{'warehouse':44}{warehouse.stat().st_size / 1e6:9.0f} MB")
        slow = []
        with reading(warehouse) as database:
            for name, report in reports().items():
                params = dict.fromkeys(report.parameters) | (
                    {"budget_usd": "50"} if "budget_usd" in report.parameters else {}
                )
                times = []
                for _ in range(ROUNDS):
                    began = time.perf_counter()
                    rows = len(fetch(database, report.typed_sql, params))
                    times.append(1000 * (time.perf_counter() - began))
                took = statistics.median(times)
                slow += [name] if took > target_ms else []
                print(f"{name:44}{took:9.0f} ms{min(times):9.0f} ms at best{rows:10,} rows")
        with timed("read-only open"), reading(warehouse):
            pass
    print(f"slower than {target_ms} ms: {', '.join(slow) or 'none'}")
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main())
