"""The errors a user can meet. Each message reads `cannot <verb> <object>: <cause>; <what to do>`."""

from __future__ import annotations

from whowas.extras import install_line


class WhowasError(Exception):
    """A mistake or a broken input that is explained without a stack trace.

    Args: lines: one, or several where several things are wrong. A line break inside of one is somebody else's.
    """

    exit_code = 2

    def __init__(self, *lines: str) -> None:
        super().__init__(*lines)
        self.lines = lines

    def __str__(self) -> str:
        return "\n".join(map(str, self.lines))


class ConfigError(WhowasError):
    """An option, a configuration file or a rule that cannot be honoured; found before the first read."""


class InputError(WhowasError):
    """A file or stream that cannot be read at all."""


class BrokenInput(WhowasError):
    """An input that stops being readable part-way; everything before `offset` was delivered.

    Args: path: the input as the user named it. offset: bytes from its start. reason: the cause in words.
    """

    exit_code = 1

    def __init__(self, path: str, offset: int, reason: str) -> None:
        super().__init__(f"cannot read '{path}' past byte {offset}: {reason}; what came before it was kept")
        self.path = path
        self.offset = offset
        self.reason = reason


class OutputError(WhowasError):
    """A place that cannot be written: not empty, read-only, full."""


class SchemaError(WhowasError):
    """Columns that are not the ones a boundary promises; a programming error or a foreign file."""


class MissingExtra(WhowasError):
    """An optional dependency that is not installed; the message carries the exact pip line."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(f"cannot import '{package}': it is not installed; run {install_line(extra)}")


class StoreError(WhowasError):
    """A history that cannot be opened, read or written. `passing`: trying again later may help."""

    passing = False


class StoreDamagedError(StoreError):
    """What is in the file is not what was written."""


class StoreTakenError(StoreError):
    """Another process writes to it."""


class StoreBusyError(StoreError):
    """Somebody else holds the file for the moment, or the disk is full: nothing was written, nothing is lost."""

    passing = True


class UnreadableWarning(UserWarning):
    """Part of an input could not be read; what could was delivered."""
