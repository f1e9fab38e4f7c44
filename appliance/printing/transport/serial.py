"""Printers on a serial line, or on an adapter that shows itself as one.

pyserial sets the line up, and nothing more: its write waits for ever, or spins, when the printer takes no bytes.
"""

import errno
import termios
from contextlib import suppress

import serial

from appliance.printing.transport.address import SerialLine
from appliance.printing.transport.port import CannotOpen, Lost
from appliance.printing.transport.stream import Stream, said


class SerialStream(Stream):
    """8 data bits, no parity, as every receipt printer is delivered; nobody else may open the line meanwhile."""

    def __init__(self, address: SerialLine) -> None:
        try:
            self._line = serial.Serial(
                str(address.path),
                address.baud,
                timeout=0,
                write_timeout=0,
                rtscts=address.flow == "rtscts",
                xonxoff=address.flow == "xonxoff",
                exclusive=True,
            )
        except (serial.SerialException, termios.error) as error:
            # A node can vanish between its opening and its set-up, and termios.error is no OSError.
            number = error.args[0] if error.args and isinstance(error.args[0], int) else errno.ENODEV
            raise CannotOpen(f"{address.path}: {said(OSError(number, str(error)))}") from error
        super().__init__(self._line.fileno())

    def close(self) -> None:
        # What the printer did not take is dropped: the kernel would hold up the closing for 30 s to get it out. With
        # nothing left there is nothing to drop but what an adapter, or a pty, holds of a job that was called sent.
        with suppress(termios.error, Lost):
            if self.unsent() > 0:
                termios.tcflush(self._fd, termios.TCOFLUSH)
        self._line.close()
