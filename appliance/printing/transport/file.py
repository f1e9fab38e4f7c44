"""A file that jobs are appended to, for looking at them or for handing them on through a named pipe."""

import errno
import os
import stat
from pathlib import Path

from appliance.printing.transport.address import BadUrl, File
from appliance.printing.transport.port import CannotOpen
from appliance.printing.transport.stream import Stream, said

_READER_GONE = "whoever read this pipe has ended: start it again"

_WORDS = {
    errno.ENOENT: "its directory is not there: make it, or name another file",
    errno.EACCES: "the service may not write it: give its user the right to, or name another file",
    errno.EPERM: "the service may not write it: give its user the right to, or name another file",
    errno.EISDIR: "it is a directory: name a file in it",
    errno.ENXIO: "nobody reads this pipe: start what is to read it",
    errno.EPIPE: _READER_GONE,
    errno.ENODEV: _READER_GONE,
    errno.EIO: "its disk cannot be written",
    errno.EROFS: "its disk is read-only: name a file on another one",
    errno.ENOSPC: "the disk is full",
}


class FileStream(Stream):
    words = _WORDS

    def __init__(self, address: File) -> None:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            fd = os.open(address.path, flags, 0o600)
        except OSError as error:
            raise CannotOpen(f"{address.path}: {said(error, _WORDS)}") from error
        super().__init__(fd, answers=False)


def check_file(address: File, data_dir: Path) -> None:
    """Raise BadUrl for what jobs must not be appended to: a directory, a device, or what is in the data directory."""
    url = f"printer URL file://{address.path}"
    if Path(os.path.realpath(address.path)).is_relative_to(os.path.realpath(data_dir)):
        raise BadUrl(f"{url}: it is in the data directory, where sheets would spoil the ledger: name a file elsewhere")
    try:
        mode = address.path.stat().st_mode
    except OSError:
        return  # It is made with the first job, or what is the matter is said then.
    if stat.S_ISDIR(mode):
        raise BadUrl(f"{url}: it is a directory: name a file in it")
    if not (stat.S_ISREG(mode) or stat.S_ISFIFO(mode)):
        raise BadUrl(f"{url}: it is no file, but a device: write serial:… or usb:… for a printer")
