"""Which failures does this project raise on purpose, and may waiting help?

The class docstring is the message a person sees when no other is given; `may_pass` says whether the same call may
succeed later without anybody changing anything; `remedy` says what to do next.

    StoryloomError
    ├── InputError                a person's input cannot be used (exit code 2)
    │   ├── ConfigError           a settings file is wrong (file, line, nearest valid key)
    │   ├── DocumentError         a document of the method cannot be read (file, line)
    │   ├── RepositoryError       the git repository is not in a state that can be worked on
    │   └── UnsafePath            a path leaves its folder or names something protected
    ├── ModelError                a model call has no usable answer
    │   ├── ModelBusy             429, 529, overloaded: wait                     may_pass
    │   ├── ModelBroken           500, network, cut or malformed answer: retry   may_pass
    │   ├── ModelTimeout          the total deadline passed                      may_pass
    │   ├── ModelRefused          the model declined, or the request is invalid
    │   ├── ModelTooLong          the conversation does not fit the context window
    │   ├── ModelBadOutput        the answer does not fit the schema, after repairs
    │   │   └── ModelTruncated    the answer ended at its output limit
    │   ├── ModelBadUsage         the provider's token counts are missing or impossible
    │   ├── ModelUnpriced         no price is known, and no token cap was given
    │   └── ModelUnauthorised     the key is missing, wrong or not allowed this model
    ├── BudgetExceeded            a reservation would pass a cap
    │   └── BudgetStopped         a person chose to stop there
    ├── SandboxError              a command cannot be run safely here
    │   ├── SandboxMissing        no sandbox is available and none was waived
    │   └── SetUpFailed           commands.setup did not install what the project needs
    ├── GitError                  a git command failed
    │   └── MergeConflict         two changes touch the same lines
    ├── LeaseTaken                another orchestrator works on this project
    ├── LockTimeout               a lock stayed taken for too long                   may_pass
    ├── StorageFull               the disk is full or read-only                 may_pass
    ├── WorkflowError             a workflow cannot be executed as it is written
    ├── NeedsPerson               only a person can go on from here
    └── NotApproved               something else than a person answers what only a person may
"""

from __future__ import annotations

from decimal import Decimal


class StoryloomError(Exception):
    """Anything this project raises on purpose."""

    may_pass = False
    remedy = ""

    def __init__(self, message: str = "", *, remedy: str = "") -> None:
        super().__init__(message or (type(self).__doc__ or "").strip().split("\n")[0])
        if remedy:
            self.remedy = remedy

    @property
    def message(self) -> str:
        """What happened and where, without the remedy."""
        return str(self.args[0]) if self.args else type(self).__name__

    def __str__(self) -> str:
        if not self.remedy:
            return self.message
        end = "" if self.message.endswith((".", "!", "?", ":", ";", "…")) else "."
        return f"{self.message}{end} {self.remedy}".strip()


class InputError(StoryloomError):
    """That input cannot be used."""


class ConfigError(InputError):
    """A settings file is wrong."""


class DocumentError(InputError):
    """A document of the method cannot be read."""

    def __init__(self, message: str = "", *, path: str = "", line: int | None = None, remedy: str = "") -> None:
        where = f"{path}:{line}: " if path and line else f"{path}: " if path else ""
        super().__init__(f"{where}{message}", remedy=remedy)
        self.path, self.line = path, line


class RepositoryError(InputError):
    """The git repository is not in a state that can be worked on."""


class UnsafePath(InputError):
    """A path leaves its folder or names something protected."""


class ModelError(StoryloomError):
    """A model call has no usable answer."""

    http_status: int | None = None
    raw: str = ""  # the provider's answer, secrets taken out, for diagnosis; never part of the message
    maybe_billed = False  # whether the provider may have worked for it: then it counts at its worst case


class ModelBusy(ModelError):
    """The model's provider is busy."""

    may_pass = True

    def __init__(self, message: str = "", *, retry_after_s: float | None = None, remedy: str = "") -> None:
        super().__init__(message, remedy=remedy)
        self.retry_after_s = retry_after_s


class ModelBroken(ModelError):
    """The model's provider gave no usable answer."""

    may_pass = True


class ModelTimeout(ModelError):
    """The model did not answer within its total deadline."""

    may_pass = True


class ModelRefused(ModelError):
    """The model or its provider declined the request."""

    words: str = ""  # the model's own, secrets taken out; "" when the provider declined


class ModelTooLong(ModelError):
    """The conversation does not fit the model's context window."""


class ModelBadOutput(ModelError):
    """The model's answer does not fit the schema that was asked for."""

    answer: str = ""
    faults: tuple[str, ...] = ()


class ModelTruncated(ModelBadOutput):
    """The model's answer ended at its output limit."""


class ModelBadUsage(ModelError):
    """The provider's token counts are missing or impossible."""


class ModelUnpriced(ModelError):
    """No price is known for this model."""


class ModelUnauthorised(ModelError):
    """The model's provider did not accept the key."""


class BudgetExceeded(StoryloomError):
    """A reservation would pass a cap. `unit` says what the figures count: dollars or tokens."""

    def __init__(
        self,
        message: str = "",
        *,
        scope: str = "",
        unit: str = "dollars",
        cap: Decimal | int = 0,
        spent: Decimal | int = 0,
        asked: Decimal | int = 0,
        remedy: str = "",
    ) -> None:
        super().__init__(message, remedy=remedy)
        self.scope, self.unit, self.cap, self.spent, self.asked = scope, unit, cap, spent, asked


class BudgetStopped(BudgetExceeded):
    """A person chose to stop at the cap."""


class SandboxError(StoryloomError):
    """A command cannot be run safely here."""


class SandboxMissing(SandboxError):
    """No sandbox is available."""


class SetUpFailed(SandboxError):
    """The project's set-up did not succeed."""


class GitError(StoryloomError):
    """A git command failed."""


class MergeConflict(GitError):
    """Two changes touch the same lines."""

    def __init__(self, message: str = "", *, files: tuple[str, ...] = (), remedy: str = "") -> None:
        super().__init__(message, remedy=remedy)
        self.files = files


class LeaseTaken(StoryloomError):
    """Another orchestrator works on this project."""


class LockTimeout(StoryloomError):
    """A lock stayed taken for too long."""

    may_pass = True


class StorageFull(StoryloomError):
    """The disk is full or read-only."""

    may_pass = True


class WorkflowError(StoryloomError):
    """A workflow cannot be executed as it is written."""


class NeedsPerson(StoryloomError):
    """Only a person can go on from here."""


class NotApproved(StoryloomError):
    """Only a person may let this pass."""
