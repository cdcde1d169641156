"""Where do small durable values of a project stay: answers, leases, notes?"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote, unquote

from storyloom.domain.errors import InputError

from .atomic_files import MARK, create_atomic, sweep, write_atomic

SEGMENT = 200


class FileShelf:
    """One file per value below a folder; the file's name is the value's name, percent-encoded.

    A name longer than a file name may be is cut into folders whose names end in "+", a sign that encoding never makes.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)

    def get(self, name: str) -> str | None:
        """The text kept under a name, None if there is none."""
        try:
            return self._path(name).read_bytes().decode()
        except FileNotFoundError:
            return None

    def put(self, name: str, text: str) -> None:
        """Keep a text under a name, replacing what was there.

        Raises:
            StorageFull: the old text is still there.
        """
        write_atomic(self._path(name), text, mode=0o600)

    def put_new(self, name: str, text: str) -> bool:
        """Keep a text under a name unless there is one; True for the one caller whose text was kept.

        Raises:
            StorageFull: nothing was kept.
        """
        return create_atomic(self._path(name), text, mode=0o600)

    def names(self, prefix: str) -> list[str]:
        """All names that start with a prefix, sorted."""
        files = (path for path in self.folder.rglob("*") if path.is_file() and not path.name.startswith(MARK))
        found = (unquote(path.relative_to(self.folder).as_posix().replace("+/", "")) for path in files)
        return sorted(name for name in found if name.startswith(prefix))

    def changed(self, name: str) -> float:
        """When what is kept under a name was last written, in seconds since 1970; 0 if nothing is."""
        try:
            return self._path(name).stat().st_mtime
        except FileNotFoundError:
            return 0.0

    def sweep(self) -> list[str]:
        """Remove what crashed writers left behind, and return its paths."""
        return sweep(self.folder)

    def _path(self, name: str) -> Path:
        if not name or "\0" in name:
            raise InputError(f"{name!r} is no name for a value on the shelf.")
        encoded = quote(name, safe="").replace(".", "%2E")
        parts = [encoded[start : start + SEGMENT] for start in range(0, len(encoded), SEGMENT)]
        return self.folder.joinpath(*(f"{part}+" for part in parts[:-1]), parts[-1])
