"""May a path that a model names be touched at all?  Lexical rules only; the file system is asked elsewhere.

A path is accepted when it is relative, plain and inside its root whatever the file system makes of it: no dot segments,
no spelling that another system folds into a protected name, nothing that could be read as an option.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection

from .errors import UnsafePath

MAX_PATH_BYTES = 1024
MAX_NAME_BYTES = 255
# Signs that some file systems ignore inside names, so that ".g<sign>it" is ".git" there.
IGNORED = dict.fromkeys([0x00AD, *range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2060, 0x2070), 0xFEFF])
HIDING = frozenset(IGNORED)
SECRET = re.compile(r"(?:^|/)(?:\.git|\.ssh|\.netrc|\.pypirc|\.npmrc|\.gitconfig|\.env(?:\.[^/]*|rc)?)(?:/|$)")
# Written by an agent, these run code or change rules elsewhere: on the person's machine, in their editor, in CI, in us.
STEERING = re.compile(
    r"(?:^|/)(?:\.gitmodules|\.gitattributes|\.husky|\.vscode|\.idea|\.claude|\.cursor|\.devcontainer"
    r"|\.pre-commit-config\.yaml|\.bmad|\.bmad-escalations)(?:/|$)"
)
PIPELINES = re.compile(r"(?:^|/)(?:\.github/(?:workflows|actions)|\.gitlab-ci\.ya?ml)(?:/|$)")
SHORT_GIT = re.compile(r"^git~\d+$")


def check_path(path: object, *, writing: bool = True, planned: Collection[str] = ()) -> tuple[str, ...]:
    """The segments of a relative path with "/" between them, if it is safe to use inside of a root.

    Reading is allowed where only writing would be dangerous (CI workflows, editor settings, attributes), and never
    where secrets or git's own files are kept. `planned` are paths that a person named: they open CI workflows.

    Raises:
        UnsafePath: saying which rule it breaks.
    """
    if not isinstance(path, str):
        raise UnsafePath(f"{path!r} is not a path.")
    shown = ascii(path if len(path) <= 120 else path[:117] + "...")

    def refuse(why: str) -> UnsafePath:
        return UnsafePath(f"{shown}: {why}.", remedy="Name a file by its path relative to the project's root.")

    if not path:
        raise refuse("the path is empty")
    if any(ord(sign) < 32 or ord(sign) == 127 or 0xD800 <= ord(sign) <= 0xDFFF for sign in path):
        raise refuse("it holds a control sign or is not text")
    if any(ord(sign) in HIDING for sign in path):
        raise refuse("it holds an invisible sign or one that turns the direction of text")
    if len(path.encode()) > MAX_PATH_BYTES:
        raise refuse(f"it is longer than {MAX_PATH_BYTES} bytes")
    if path.startswith(("/", "~")) or "\\" in path or re.match(r"[A-Za-z]:", path):
        raise refuse("it is not relative, or uses backslashes")
    parts = tuple(path.split("/"))
    for part in parts:
        if part in ("", ".", ".."):
            raise refuse("it has an empty or a dot segment")
        if len(part.encode()) > MAX_NAME_BYTES:
            raise refuse(f"a segment is longer than {MAX_NAME_BYTES} bytes")
        if part.endswith((" ", ".")):
            raise refuse("a segment ends in a dot or a space")
        if part.startswith("-"):
            raise refuse("a segment starts with a dash")
    folded = fold(path)
    if any(part in ("", ".", "..") for part in folded.split("/")):
        raise refuse("it becomes a dot segment once its signs are folded")
    if why := protection(path, writing=writing, planned=planned):
        raise refuse(why)
    return parts


def protection(path: str, *, writing: bool = True, planned: Collection[str] = ()) -> str:
    """Why a relative path is protected, "" if it is not. Also for paths that a command touched, not a model."""
    folded = fold(path)
    if SECRET.search(folded):
        return "it is git's own or may hold secrets"
    pipeline = PIPELINES.search(folded) and folded not in {fold(name) for name in planned}
    if writing and (pipeline or STEERING.search(folded)):
        return "it steers tools outside of the sandbox; only a person changes it"
    return ""


def fold(path: str) -> str:
    """The path as the most forgiving file system would read it: case, width, ignored signs, short names, ends."""
    text = unicodedata.normalize("NFKC", path).translate(IGNORED).casefold().replace("\\", "/")
    parts = (part.rstrip(" .") if part.strip(" .") else part for part in text.split("/"))
    return "/".join(".git" if SHORT_GIT.match(part) else part.split(":", 1)[0] or part for part in parts)
