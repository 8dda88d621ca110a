"""Files that survive a power loss: written aside, synced, renamed, and their folders synced too."""

import errno
import os
import secrets
import shutil
from contextlib import suppress
from pathlib import Path
from typing import IO

_ATTEMPTS = 8
# Pictures of users, and secrets: for the service's own user alone.
_MODE = 0o600
_REASONS = {
    errno.ENOSPC: "is full",
    errno.EDQUOT: "is full",
    errno.EFBIG: "is full",
    errno.EROFS: "is read-only",
    errno.EACCES: "can't be written",
    errno.EPERM: "can't be written",
}


def reason(error: OSError) -> str:
    """What is wrong with the storage, in words that name no path."""
    return _REASONS.get(error.errno or 0, "failed")


def make_folder(folder: Path) -> None:
    """Make ``folder`` and its parents, each entered durably in its own; only their owner may look in."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    try:
        folder.mkdir(0o700)
    except FileExistsError:
        # Another made it, and it may be gone again, which `write` finds out: `exist_ok` would take that for a file.
        if folder.is_file():
            raise
    _sync_folder(folder.parent)


def write(path: Path, data: bytes | IO[bytes]) -> None:
    """Put ``data``, or all that a seekable file holds, at ``path``: all of it or nothing, replacing what was there.

    It is on the disk when this returns.
    """
    for attempt in range(_ATTEMPTS):
        make_folder(path.parent)
        try:
            return _replace(path, data)
        except FileNotFoundError:
            # `remove`, in another thread or process, took the folder while it was still empty: make it again.
            if attempt == _ATTEMPTS - 1:
                raise


def create(path: Path, data: bytes) -> None:
    """Put ``data`` at ``path`` unless there is a file already, which then stays as it is."""
    make_folder(path.parent)
    aside = _aside(path)
    try:
        _write_synced(aside, data)
        # A link, unlike a rename, fails if another process was first.
        with suppress(FileExistsError):
            os.link(aside, path)
    finally:
        aside.unlink(missing_ok=True)
    _sync_folder(path.parent)


def remove(path: Path, root: Path) -> None:
    """Delete ``path`` and the folders that this leaves empty, up to ``root``; a missing file is fine."""
    path.unlink(missing_ok=True)
    folder = path.parent
    while folder != root and _remove_if_empty(folder):
        folder = folder.parent
    # Without this a picture that a user had erased could come back after a power loss.
    _sync_folder(folder)


def _replace(path: Path, data: bytes | IO[bytes]) -> None:
    aside = _aside(path)
    try:
        _write_synced(aside, data)
        os.replace(aside, path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def is_aside(path: Path) -> bool:
    """Whether it is what `write` leaves if the process dies under it."""
    return path.name.startswith(".") and path.suffix == ".part"


def _aside(path: Path) -> Path:
    # A leading dot: no blob key has one, so a file left behind by a crash is never taken for a blob.
    return path.with_name(f".{secrets.token_hex(8)}.part")


def _write_synced(path: Path, data: bytes | IO[bytes]) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _MODE)
    with open(handle, "wb") as file:
        if isinstance(data, bytes):
            file.write(data)
        else:
            data.seek(0)
            shutil.copyfileobj(data, file)
        file.flush()
        os.fsync(handle)


def _remove_if_empty(folder: Path) -> bool:
    """Whether ``folder`` is gone now."""
    try:
        folder.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        # Not empty, as a rule; and a folder that stays for another reason harms nobody.
        return False
    return True


def _sync_folder(folder: Path) -> None:
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        # Removed by another since: the one who removed it syncs its parent.
        return
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
