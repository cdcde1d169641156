"""Every event arrives once, whatever happens on the way."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
from filelock import FileLock
from storyloom.analytics import ingest as ingest_module
from storyloom.analytics.columns import TABLES, event_models, flat_columns, json_columns
from storyloom.analytics.ingest import Ingested, ingest
from storyloom.analytics.report import run_sql
from storyloom.analytics.warehouse import reading, writing
from storyloom.blocks.spool import Spool, read_spool
from storyloom.domain.errors import InputError
from storyloom.domain.events import CallRecorded

Make = Callable[..., CallRecorded]


def contents(warehouse: Path) -> dict[str, list[tuple[Any, ...]]]:
    with reading(warehouse) as database:
        return {
            table: database.execute(f"SELECT * FROM {table} ORDER BY event_id").fetchall() for table in TABLES.values()
        }


def test_the_tables_have_the_events_columns_and_no_others(tmp_path: Path):
    with writing(tmp_path / "w.duckdb") as database:
        for event, table in TABLES.items():
            found = database.execute("SELECT column_name FROM duckdb_columns() WHERE table_name = ?", [table])
            assert {row[0] for row in found.fetchall()} == set(flat_columns(event)), table
    assert set(TABLES) == set(event_models())
    assert json_columns()["cost"] == "DECIMAL(18,12)"


def test_every_event_arrives_with_every_field(spool: Path, warehouse: Path):
    events = read_spool(spool).events
    rows = run_sql("SELECT count(*) AS n FROM fact_call", warehouse)
    assert rows["n"][0] == sum(event.event == "model_call" for event in events)
    (row,) = run_sql("SELECT * FROM fact_call WHERE event_id = 'a2'", warehouse).to_dict("records")
    (event,) = [event for event in events if event.event_id == "a2"]
    assert isinstance(event, CallRecorded)
    assert row["cost"] == event.cost
    assert (row["project"], row["story"], row["attempt"]) == ("shelf", "1-1-a", 2)
    assert (row["tok_input"], row["tok_cache_read"], row["tok_output"]) == (100, 300, 10)
    assert row["ts"].isoformat() == "2026-05-04T02:30:00"
    assert contents(warehouse)["fact_merge"][0][2] == "shelf"


def test_ingesting_again_changes_nothing_and_reads_nothing(spool: Path, warehouse: Path):
    before = contents(warehouse)
    assert ingest(spool, warehouse) == Ingested()
    assert contents(warehouse) == before


def test_a_file_that_is_still_being_written_is_read_on_from_where_it_was_left(tmp_path: Path, make_call: Make):
    spool, warehouse = tmp_path / "spool", tmp_path / "w.duckdb"
    writer = Spool(spool)
    writer.record(make_call("a"))
    assert ingest(spool, warehouse).events == 1
    (file,) = spool.glob("*.jsonl")
    line = json.dumps({"schema_version": 1, **make_call("b").model_dump(mode="json")}).encode() + b"\n"
    with file.open("ab") as half:
        half.write(line[:100])
    done = ingest(spool, warehouse)
    assert (done.events, done.waiting_bytes, done.bad_lines) == (0, 100, 0)
    with file.open("ab") as rest:
        rest.write(line[100:])
    writer.record(make_call("c"))
    done = ingest(spool, warehouse)
    assert (done.events, done.waiting_bytes, done.repeated) == (2, 0, 0)
    assert run_sql("SELECT bytes, lines FROM ingest_file", warehouse).values.tolist() == [[file.stat().st_size, 3]]


def test_a_large_file_is_read_in_several_transactions(tmp_path: Path, make_call: Make, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ingest_module, "BATCH_BYTES", 700)
    writer = Spool(tmp_path / "spool")
    for number in range(20):
        writer.record(make_call(f"c{number}"))
    done = ingest(tmp_path / "spool", tmp_path / "w.duckdb")
    assert (done.files, done.events, done.waiting_bytes) == (1, 20, 0)


def test_lines_that_cannot_be_read_are_counted_and_the_others_arrive(tmp_path: Path, make_call: Make):
    spool, warehouse = tmp_path / "spool", tmp_path / "w.duckdb"
    writer = Spool(spool)
    writer.record(make_call("a"))
    (file,) = spool.glob("*.jsonl")
    with file.open("a") as torn:
        torn.write(
            '{"event": "model_call", "event_\n{"event": "dance", "event_id": "x", "ts": "2026-01-01T00:00:00Z"}\n'
        )
        torn.write('{"event": "story", "event_id": "y", "ts": "yesterday"}\n[]\n')
    writer.record(make_call("b"))
    done = ingest(spool, warehouse)
    assert (done.events, done.bad_lines) == (2, 4)


def test_fields_of_a_later_version_are_left_out(tmp_path: Path, make_call: Make):
    (tmp_path / "spool").mkdir()
    fields = {**make_call("a").model_dump(mode="json"), "schema_version": 2, "mood": "good"}
    (tmp_path / "spool" / "x.jsonl").write_text(json.dumps(fields) + "\n")
    assert ingest(tmp_path / "spool", tmp_path / "w.duckdb").events == 1


@pytest.mark.parametrize("together", [True, False])
def test_of_one_event_recorded_often_the_first_counts_and_a_known_outcome_most(
    tmp_path: Path, make_call: Make, together: bool
):
    spool, warehouse = tmp_path / "spool", tmp_path / "w.duckdb"
    writer = Spool(spool)
    for event in (
        make_call("a", 5, cost=Decimal(5)),
        make_call("a", 3, cost=Decimal(3)),
        make_call("a", 4, cost=Decimal(4)),
        make_call("b", 1, cost=Decimal(9), status="unknown"),
        make_call("b", 2, cost=Decimal(2)),
        make_call("b", 1.5, cost=Decimal(9), status="unknown"),
    ):
        writer.record(event)
        if not together:
            ingest(spool, warehouse)
    ingest(spool, warehouse)
    rows = run_sql("SELECT event_id, cost FROM fact_call ORDER BY 1", warehouse).values.tolist()
    assert rows == [["a", Decimal(3)], ["b", Decimal(2)]]


def test_a_deleted_warehouse_is_built_again_the_same(spool: Path, warehouse: Path):
    before = contents(warehouse)
    warehouse.unlink()
    ingest(spool, warehouse)
    assert contents(warehouse) == before


@pytest.mark.parametrize("damage", ["no database", "another version", "other tables"])
def test_a_warehouse_that_cannot_be_used_is_built_again(spool: Path, warehouse: Path, damage: str):
    before = contents(warehouse)
    if damage == "no database":
        warehouse.write_bytes(b"this was a database once " * 1000)
    else:
        with duckdb.connect(str(warehouse)) as database:
            statement = {"another version": "UPDATE meta SET schema_version = 0", "other tables": "DROP TABLE meta"}
            database.execute(statement[damage])
    done = ingest(spool, warehouse)
    assert done.rebuilt
    assert contents(warehouse) == before
    assert not list(warehouse.parent.glob("*.new*"))


def test_a_name_that_was_taken_by_another_file_loses_no_event(tmp_path: Path, make_call: Make):
    spool, warehouse = tmp_path / "spool", tmp_path / "w.duckdb"
    spool.mkdir()

    def write(*names: str) -> None:
        lines = [json.dumps(make_call(name).model_dump(mode="json")) for name in names]
        (spool / "x.jsonl").write_text("\n".join(lines) + "\n")

    write("a", "b", "c")
    ingest(spool, warehouse)
    write("d")
    ingest(spool, warehouse)
    assert len(contents(warehouse)["fact_call"]) == 4


def test_many_ingesters_at_once_take_turns(spool: Path, tmp_path: Path):
    warehouse = tmp_path / "w.duckdb"
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda _: ingest(spool, warehouse), range(4)))
    assert sum(one.events for one in done) == len(read_spool(spool).events)
    assert sum(one.repeated for one in done) == 0


def test_who_waits_too_long_is_told_so(spool: Path, tmp_path: Path):
    warehouse = tmp_path / "w.duckdb"
    with (
        FileLock(tmp_path / "w.duckdb.lock"),
        ThreadPoolExecutor(1) as pool,
        pytest.raises(InputError, match="Another process is filling"),
    ):
        pool.submit(ingest, spool, warehouse, patience_s=0.1).result()


HOLD = """
import duckdb, sys, time
database = duckdb.connect(sys.argv[1])
print("held", flush=True)
time.sleep(60)
"""


def test_a_reader_and_a_writer_wait_for_a_file_in_use_but_not_for_ever(spool: Path, warehouse: Path):
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(warehouse)], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(InputError, match="in use by another process"), reading(warehouse, patience_s=0.1):
            pass
        with pytest.raises(InputError, match="in use by another process"):
            ingest(spool, warehouse, patience_s=0.1)
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(lambda: len(contents(warehouse)["fact_call"]))
            time.sleep(0.2)
            holder.kill()
            assert waiting.result() == 10
    finally:
        holder.kill()
        holder.wait()
        if holder.stdout:
            holder.stdout.close()


INGEST = """
import sys
from storyloom.analytics import ingest
kill_at = int(sys.argv[3])
class Counting:
    def __init__(self, real): self.real, self.count = real, 0
    def __call__(self, *args):
        self.count += 1
        if self.count == kill_at:
            import os, signal
            os.kill(os.getpid(), signal.SIGKILL)
        return self.real(*args)
ingest._insert = Counting(ingest._insert)
ingest.ingest(sys.argv[1], sys.argv[2])
"""


@pytest.mark.parametrize("kill_at", [1, 4, len(TABLES) + 2])
def test_an_ingester_killed_anywhere_leaves_nothing_half_done(
    tmp_path: Path, make_call: Make, spool: Path, warehouse: Path, kill_at: int
):
    before = contents(warehouse)
    Spool(spool).record(make_call("late"))
    Spool(spool).record(make_call("later"))
    command = [sys.executable, "-c", INGEST, str(spool), str(warehouse), str(kill_at)]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    middle = len(contents(warehouse)["fact_call"]) - len(before["fact_call"])
    assert middle == (0 if kill_at <= len(TABLES) else 1)  # an insert a table, one transaction a file
    done = ingest(spool, warehouse)
    assert (done.events, done.repeated) == (2 - middle, 0)
    assert {row[0] for row in contents(warehouse)["fact_call"]} >= {"late", "later"}


def test_the_warehouse_is_readable_by_its_owner_alone(warehouse: Path):
    assert oct(warehouse.stat().st_mode)[-3:] == "600"
