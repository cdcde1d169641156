"""Which of the method's workflows has a project done, and with which document?  (bmm-workflow-status)

Three shapes are read: YAML with a flat `workflow_status: {prd: docs/prd.md, …}`, YAML with a list of phases and their
workflows, and Markdown (see `workflow_status_md`). A workflow's value is required, optional, recommended or conditional
before it is done, the path of its document afterwards, or `skipped`. Edits change that value and nothing else.
"""

from __future__ import annotations

import re

from .errors import DocumentError
from .workflow_items import WorkflowItem, WorkflowStatus
from .workflow_status_md import mark_markdown, read_markdown, set_field
from .workflow_status_yaml import SECTION, mark_yaml, read_yaml

__all__ = ["WorkflowItem", "WorkflowStatus", "mark_done", "mark_skipped", "read_workflow_status", "set_field"]

LARGEST = 2_000_000


def read_workflow_status(text: str, path: str = "bmm-workflow-status.yaml") -> WorkflowStatus:
    """The status file in this text, whichever shape it has.

    Raises:
        DocumentError: the text is larger than any status file (2 MB).
    """
    if len(text) > LARGEST:
        raise DocumentError(f"is {len(text):,} characters long", path=path, remedy="Point to the status file itself.")
    if re.search(rf"^{SECTION}[ ]*:", text, re.MULTILINE) or path.endswith((".yaml", ".yml")):
        return read_yaml(text, path)
    return read_markdown(text, path)


def mark_done(text: str, workflow: str, file: str, *, path: str = "bmm-workflow-status.yaml") -> str:
    """The status file with a workflow done: its value is the path of its document. Done again, it changes nothing.

    A workflow that a flat YAML file does not list is added to it.

    Raises:
        DocumentError: the file cannot be read, or does not list the workflow and has no place for it.
    """
    return _mark(text, workflow, file, path)


def mark_skipped(text: str, workflow: str, *, path: str = "bmm-workflow-status.yaml") -> str:
    """The status file with a workflow skipped; one that is done stays done.

    Raises:
        DocumentError: as mark_done.
    """
    status = read_workflow_status(text, path)
    item = status.get(workflow)
    return text if item and item.state == "done" else _mark(text, workflow, "skipped", path)


def _mark(text: str, workflow: str, value: str, path: str) -> str:
    status = read_workflow_status(text, path)
    if status.shape in ("keys", "narrative"):
        return mark_markdown(text, status, workflow, value)
    return mark_yaml(text, status, workflow, value)
