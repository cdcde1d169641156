"""Which file of an installed folder, or of an unpacked package, does a path in a workflow mean?

Workflows name files by their place in an installed project (`{project-root}/_bmad/bmm/...`).  The same files lie
elsewhere in a package (`src/modules/bmm/...`), so behind the installed folder's name a path is found by its tail.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable

from .errors import DocumentError, UnsafePath
from .resolver import inside

ENTRIES = ("workflow.yaml", "workflow.yml", "SKILL.md", "workflow.md", "workflow.xml")
_OWN = re.compile(r"^\{(?:installed_path|skill[-_]root|workflow_path)\}/*")
_ROOT = re.compile(r"^\{project[-_]root\}/*")
_INSTALLED = re.compile(r"^(?:_bmad|\.bmad|bmad|\{bmad_folder\})/+(.+)$")


class References:
    """The paths of a set of files, asked by the names that workflows give them."""

    def __init__(self, paths: Iterable[str]) -> None:
        self.paths = frozenset(paths)
        self._by_name: dict[str, list[str]] = {}
        for path in sorted(self.paths, key=lambda p: (p.count("/"), p)):
            self._by_name.setdefault(posixpath.basename(path), []).append(path)

    def find(self, written: str, folder: str) -> str | None:
        """The file that `written` means in a workflow that lies in `folder`; None if there is none.

        Raises:
            UnsafePath: the path leads out of the project.
            DocumentError: it is an address on the network.
        """
        path = written.strip().strip("'\"`")
        if is_remote(path):
            raise DocumentError(
                f"{path!r} is an address, and only files of the project are read",
                remedy="Copy the file into the project and name its path.",
            )
        if own := _OWN.match(path):
            path = "./" + path[own.end() :]
        root = _ROOT.match(path)
        rest = path[root.end() :] if root else path
        if installed := _INSTALLED.match(rest):
            tail = inside(installed[1])
            return self._present(rest) or self._ending(tail)
        if root:
            return self._present(inside(rest))
        try:
            return self._present(inside(posixpath.join(folder, path)))
        except UnsafePath:
            raise UnsafePath(
                f"{written!r} leads out of the folder that is read", remedy="Name a path below the project's folder."
            ) from None

    def find_workflow(self, written: str, folder: str) -> str | None:
        """As `find`, for a workflow: also by its folder, or by a skill's name. The path of its first file.

        A first file that is not there stands for its folder: upstream turned workflow.yaml into workflow.md.
        """
        path = written.strip().strip("'\"`").rstrip("/")
        found = self.find(path, folder)
        place = path.rpartition("/")[0] if posixpath.basename(path) in ENTRIES else path
        for entry in () if found or not place else ENTRIES:
            found = found or self.find(f"{place}/{entry}", folder)
        if found is None and re.fullmatch(r"[a-z0-9-]+", path):
            found = self._ending(f"{path}/SKILL.md")
        return found

    def _present(self, path: str) -> str | None:
        clean = posixpath.normpath(path)
        return clean if clean in self.paths else None

    def _ending(self, tail: str) -> str | None:
        for candidate in self._by_name.get(posixpath.basename(tail), []):
            if candidate == tail or candidate.endswith("/" + tail):
                return candidate
        return None


def is_remote(written: str) -> bool:
    """Whether a path is an address on the network."""
    return re.match(r"[a-z][a-z0-9+.-]*://|//", written.strip(), re.IGNORECASE) is not None
