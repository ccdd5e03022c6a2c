"""A file that is exported: whole under its name, or not there."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any

from sinks.files.durable import new_file
from whowas.errors import OutputError


class WholeFile:
    """A file that appears under its name when all of it is durable."""

    def __init__(self, path: str, store: str, replace: bool) -> None:
        self._path = path
        self._replace = replace
        if os.path.realpath(path) == os.path.realpath(store):
            raise OutputError(f"cannot write '{path}': it is the store itself; give another file")
        if path == "-" or (os.path.exists(path) and not os.path.isfile(path)):
            raise OutputError(f"cannot write '{path}': a file of that name is put in place as a whole; give a file")
        self._refuse_another()

    def _refuse_another(self) -> None:
        if not self._replace and os.path.lexists(self._path):
            raise OutputError(
                f"cannot write '{self._path}': it is there already; name another, or say --existing replace"
            )

    def __enter__(self) -> Any:
        folder = os.path.dirname(os.path.abspath(self._path))
        try:
            self._temporary = Path(folder, f".whowas-{os.path.basename(self._path)}-{os.getpid()}")
            self._handle = new_file(self._temporary)
        except OSError as error:
            raise OutputError(
                f"cannot write '{self._path}': {error.strerror}; give a file in a folder you can write to"
            ) from None
        return self._handle

    def __exit__(self, kind: type[BaseException] | None, why: BaseException | None, *_: object) -> None:
        if kind is None:
            try:
                self._handle.flush()
                os.fsync(self._handle.fileno())
                self._handle.close()
                self._refuse_another()
                os.replace(self._temporary, self._path)
            except OSError as error:
                self._drop()
                raise OutputError(f"cannot write '{self._path}': {error.strerror}; give another file") from None
            except OutputError:
                self._drop()
                raise
            return
        self._drop()
        if isinstance(why, OSError):
            raise OutputError(f"cannot write '{self._path}': {why.strerror}; make room, or give another file") from why

    def _drop(self) -> None:
        """Leave nothing behind. What lies in the buffer of a full disk is not wanted any more."""
        with contextlib.suppress(OSError):
            self._handle.close()
        self._temporary.unlink(missing_ok=True)
