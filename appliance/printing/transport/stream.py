"""A transport over a file descriptor: what serial lines, USB printers, the network and files have in common.

The descriptor never blocks; every wait is a poll with a time. The kernel's queue is looked at where it can be, so that
"taken" means that the bytes have left this machine.
"""

import errno
import fcntl
import os
import select
import struct
import termios
from collections.abc import Mapping

from appliance.printing.transport.port import Lost


class Stream:
    """Owns `fd`, which must be in non-blocking mode.

    is_end_told: whether an empty read of a readable descriptor means that the other side is gone.
    """

    is_shared = False
    words: Mapping[int, str] = {}
    """What a system error means to a person here, where it is not what it means of most printers."""

    def __init__(self, fd: int, *, answers: bool = True, is_end_told: bool = True) -> None:
        self._fd = fd
        self._answers = answers
        self._is_end_told = is_end_told

    @property
    def answers(self) -> bool:
        return self._answers

    def write(self, data: bytes) -> int:
        try:
            return os.write(self._fd, data)
        except BlockingIOError:
            return 0
        except OSError as error:
            raise self._lost(error) from error

    def read(self) -> bytes:
        if not self._answers or not self._poll(0, select.POLLIN) & select.POLLIN:
            return b""
        try:
            data = os.read(self._fd, _READ_BYTES)
        except BlockingIOError:
            return b""
        except OSError as error:
            raise self._lost(error) from error
        if not data and self._is_end_told:
            raise self._lost(OSError(errno.ENODEV, os.strerror(errno.ENODEV)))
        return data

    def wait(self, timeout_s: float, *, to_write: bool) -> bool:
        wanted = (select.POLLIN if self._answers else 0) | (select.POLLOUT if to_write else 0)
        return bool(self._poll(timeout_s, wanted) & select.POLLOUT)

    def unsent(self) -> int:
        """Of a terminal and of a socket the kernel tells; of a pty and of usblp it says 0."""
        try:
            (count,) = struct.unpack("i", fcntl.ioctl(self._fd, termios.TIOCOUTQ, b"\0" * 4))
        except OSError as error:
            if error.errno in (errno.ENOTTY, errno.EINVAL):
                return 0
            raise self._lost(error) from error
        return int(count)

    def close(self) -> None:
        os.close(self._fd)

    def _poll(self, timeout_s: float, wanted: int) -> int:
        poller = select.poll()
        poller.register(self._fd, wanted)
        happened = 0
        for _, happened in poller.poll(timeout_s * 1000):
            # What came before the end is read first; the end is told again.
            if not happened & wanted and happened & (select.POLLHUP | select.POLLERR | select.POLLNVAL):
                raise self._lost(OSError(errno.ENODEV, os.strerror(errno.ENODEV)))
        return happened

    def _lost(self, error: OSError) -> Lost:
        return Lost(said(error, self.words))


def said(error: OSError, words: Mapping[int, str] | None = None) -> str:
    """Return a system error in a person's words. words: by its number, before those for most printers."""
    number = error.errno or 0
    return (words or {}).get(number) or _WORDS.get(number) or error.strerror or str(error)


_READ_BYTES = 4096
"""Replies are a few bytes; this is what a terminal's queue in the kernel holds."""

_UNPLUGGED = "it was unplugged or switched off"

_WORDS = {
    errno.ENOENT: "it is not plugged in or not switched on: nothing is there",
    errno.ENXIO: "it is not plugged in or not switched on: nothing is there",
    errno.ENODEV: _UNPLUGGED,
    errno.EIO: _UNPLUGGED,
    errno.EPIPE: _UNPLUGGED,
    errno.ECONNRESET: _UNPLUGGED,
    errno.EACCES: "the service may not use it: add its user to the groups dialout and lp",
    errno.EBUSY: "another program uses it: stop that one",
    errno.EAGAIN: "another program uses it: stop that one",
    errno.ECONNREFUSED: "that host takes no print jobs at that port: check the address, or switch the printer on",
    errno.EHOSTUNREACH: "that host is not in the network: check the cable and the address",
    errno.ENETUNREACH: "that host is not in the network: check the cable and the address",
    errno.ETIMEDOUT: "that host does not answer: check the cable, and switch the printer on",
    errno.ENOSPC: "the disk is full",
}
