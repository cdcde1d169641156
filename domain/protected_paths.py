"""Which files may a developer not change, and why?"""

from __future__ import annotations

import re
from collections.abc import Iterable

from .safe_paths import fold, protection

PROTECTED: tuple[tuple[str, str], ...] = (
    (r"(?:.*/)?\.git(?:/.*)?", "git's own files are never edited"),
    (r"(?:.*/)?\.(?:gitattributes|gitmodules|gitconfig)", "it can make git run commands"),
    (r"(?:\.githooks|\.husky)(?:/.*)?", "hooks run outside the sandbox"),
    (r"\.bmad(?:-[\w.-]+)?(?:/.*)?", "the method's settings and records are not part of a story"),
    (r"(?:.*/)?sprint-status\.ya?ml", "the board is written when a story is merged"),
    (r"(?:.*/)?bmm-workflow-status\.[\w.]+", "the workflow status is kept by the orchestrator"),
)
"""Patterns over whole paths, letter case ignored, each with its reason."""

CI = (
    r"(?:\.github|\.circleci|\.ci|\.buildkite|\.woodpecker)(?:/.*)?|\.gitlab-ci\.ya?ml|\.travis\.ya?ml|"
    r"azure-pipelines\.ya?ml|bitbucket-pipelines\.ya?ml|jenkinsfile|\.drone\.ya?ml|appveyor\.ya?ml"
)


def why_protected(path: str, *, stories_folder: str = "docs/stories", planned: Iterable[str] = ()) -> str:
    """The reason why a relative path may not be changed, "" if it may.

    `planned` are paths that the story names: they open the CI configuration, and nothing else that is protected.
    """
    folded, planned = fold(path), tuple(planned)
    for pattern, reason in PROTECTED:
        if re.fullmatch(pattern, folded):
            return reason
    if stories_folder and (folded + "/").startswith(fold(stories_folder.strip("/")) + "/"):
        return "a story's file and status are written by the orchestrator; put notes into `finish`"
    if re.fullmatch(CI, folded) and folded not in {fold(name) for name in planned}:
        return "the CI configuration is changed only by a story that names the file"
    return protection(path, planned=planned)


def clean_path(path: str) -> str | None:
    """A relative path in plain form ("src/a.py"; "." for the root), None if it is absolute or leaves its folder."""
    given = path.strip().replace("\\", "/")
    if "\0" in given or given.startswith(("/", "~")) or re.match(r"[A-Za-z]:", given):
        return None
    parts: list[str] = []
    for part in given.split("/"):
        if part == "..":
            if not parts:
                return None
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts) or "."
