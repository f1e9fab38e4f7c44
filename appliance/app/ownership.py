"""The data directory belongs to one process at a time: the running box, or a command that replaces its ledger."""

import fcntl
from contextlib import ExitStack
from pathlib import Path

from appliance import durable
from appliance.app.refusal import CannotStart
from appliance.settings import variable


def own(directory: Path, held: ExitStack) -> Path:
    """Make the data directory this process's own until `held` ends. Raises CannotStart."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = held.enter_context(durable.open_lock(directory / "lock"))
    except OSError as error:
        raise CannotStart(
            f"{variable('data_dir')} is {str(directory)!r}: {error.strerror}: write a directory that this user may use"
        ) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise CannotStart(
            f"another coordinator runs with its data in {directory}: stop it, or set {variable('data_dir')}"
        ) from error
    return directory
