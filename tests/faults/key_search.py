"""Where does a secret stand in a folder, in whatever form: plain, encoded, compressed, in databases, in git objects?"""

from __future__ import annotations

import base64
import binascii
import bz2
import gzip
import hashlib
import io
import lzma
import re
import shutil
import sqlite3
import subprocess
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from urllib.parse import quote

import duckdb

DEEPEST = 4
TOGETHER = 4_000_000  # bytes that are searched at once
ENCODED = re.compile(rb"[A-Za-z0-9+/_-]{24,}={0,2}")
OPENERS: tuple[tuple[bytes, Callable[[bytes], bytes]], ...] = (
    (b"\x1f\x8b", gzip.decompress),
    (b"BZh", bz2.decompress),
    (b"\xfd7zXZ", lzma.decompress),
    (b"x", zlib.decompress),  # its header is two bytes, the first of which is mostly an x
    (b"PK\x03\x04", lambda data: _unzipped(data)),
)


@cache
def forms(key: str) -> dict[str, bytes]:
    """What a key looks like in each form, by the form's name."""
    plain = key.encode()
    found = {
        "plain": plain,
        "url": quote(key, safe="").encode(),
        "every letter in hex": "".join(f"%{byte:02X}" for byte in plain).encode(),
        "hex": plain.hex().encode(),
        "utf-16": key.encode("utf-16-le"),
    }
    for offset in range(3):
        start = (0, 2, 3)[offset]
        text = base64.b64encode(b"\0" * offset + plain)[start:]
        end = len(text) - (0, 3, 2)[(offset + len(plain)) % 3]
        found[f"base64, {offset} bytes in"] = text[:end]
        found[f"url-safe base64, {offset} bytes in"] = text[:end].replace(b"+", b"-").replace(b"/", b"_")
    return found


def places(folder: Path, keys: dict[str, str]) -> list[str]:
    """Every place in a folder where one of the keys stands: the file, the way into it, and the form."""
    found, some, size = set[str](), list[tuple[str, bytes]](), 0
    wanted = frozenset(form for key in keys.values() for form in forms(key).values())

    def look() -> None:
        together = b"\n".join(data for _, data in some)  # most pieces are small, and hold nothing
        if any(form in together for form in wanted):
            found.update(f"{where}: {hit}" for where, data in some for hit in _hits(data, keys))
        some.clear()

    for where, data in pieces(folder):
        some.append((where, data))
        size += len(data)
        if size > TOGETHER:
            look()
            size = 0
    look()
    return sorted(found)


def pieces(folder: Path) -> Iterator[tuple[str, bytes]]:
    """All that the files of a folder hold: their names, their bytes, what is packed in them, and their tables."""
    seen, read_by_git = set[bytes](), set[Path]()
    for git in sorted({p.parent for p in folder.rglob("objects") if (p.parent / "HEAD").is_file()}):
        command = ["git", "cat-file", "--batch-all-objects", "--batch", "--unordered"]
        everything = subprocess.run(command, cwd=git, capture_output=True, check=False)
        yield f"{git.relative_to(folder)} (its objects)", everything.stdout
        if not everything.returncode:  # else damaged by a test: its objects are looked at as files
            read_by_git.add(git / "objects")
    for path in sorted(folder.rglob("*")):
        if not read_by_git.isdisjoint(path.parents):
            continue
        where = str(path.relative_to(folder))
        yield f"{where} (its name)", where.encode()
        if path.is_symlink() or not path.is_file():
            continue
        data = path.read_bytes()
        if (digest := hashlib.sha256(data).digest()) in seen:
            continue  # a copy of what was looked at
        seen.add(digest)
        yield from _unpacked(where, data, DEEPEST)
        if data.startswith(b"SQLite format 3"):
            yield f"{where} (its tables)", "\n".join(_sqlite(path)).encode("utf-8", "replace")
        elif data[8:12] == b"DUCK":
            yield f"{where} (its tables)", "\n".join(_duckdb(path)).encode()


def _unpacked(where: str, data: bytes, depth: int) -> Iterator[tuple[str, bytes]]:
    yield where, data
    if not depth:
        return
    for magic, opened in OPENERS:
        if data.startswith(magic):
            try:
                yield from _unpacked(f"{where} (unpacked)", opened(data), depth - 1)
            except (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError, zipfile.BadZipFile):
                continue
    for number, found in enumerate(ENCODED.finditer(data)):
        text = found.group().replace(b"-", b"+").replace(b"_", b"/")
        try:
            inner = base64.b64decode(text + b"=" * (-len(text) % 4), validate=True)
        except binascii.Error:
            continue
        yield from _unpacked(f"{where} (base64 text {number})", inner, depth - 1)


def _unzipped(data: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(data)) as packed:
        return b"\n".join(packed.read(name) for name in packed.namelist())


def _sqlite(path: Path) -> Iterator[str]:
    """All rows, those of a log that is not yet in the file as well; on a copy, for reading changes it."""
    with tempfile.TemporaryDirectory() as folder:
        for part in path.parent.glob(path.name + "*"):
            shutil.copy(part, folder)
        database = sqlite3.connect(Path(folder) / path.name)
        database.text_factory = lambda raw: raw.decode("utf-8", "replace")
        for (table,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            for row in database.execute(f'SELECT * FROM "{table}"'):
                for value in row:
                    yield str(value)
                    if isinstance(value, bytes):
                        yield from (data.decode("latin-1") for _, data in _unpacked("", value, DEEPEST))
        database.close()


def _duckdb(path: Path) -> Iterator[str]:
    with duckdb.connect(str(path), read_only=True) as database:
        for (table,) in database.execute("SELECT table_name FROM duckdb_tables()").fetchall():
            for row in database.execute(f'SELECT * FROM "{table}"').fetchall():
                yield from map(str, row)


def _hits(data: bytes, keys: dict[str, str]) -> list[str]:
    return [f"{name} ({form})" for name, key in keys.items() for form, look in forms(key).items() if look in data]
