"""A file that jobs are appended to, for looking at them or for handing them on through a named pipe."""

import os

from appliance.printing.transport.address import File
from appliance.printing.transport.port import CannotOpen
from appliance.printing.transport.stream import Stream, said


class FileStream(Stream):
    def __init__(self, address: File) -> None:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            fd = os.open(address.path, flags, 0o600)
        except OSError as error:
            raise CannotOpen(f"{address.path}: {said(error)}") from error
        super().__init__(fd, answers=False)
