"""Opens what a printer's URL names."""

from appliance.printing.transport.address import Address, File, Network, SerialLine, Terminal, UsbDevice, UsbNode
from appliance.printing.transport.file import FileStream
from appliance.printing.transport.port import Transport
from appliance.printing.transport.serial import SerialStream
from appliance.printing.transport.tcp import TcpStream
from appliance.printing.transport.terminal import TerminalWriter
from appliance.printing.transport.usb import UsbStream, find_node


def open_transport(address: Address, *, codepage: str, connect_s: float) -> Transport:
    """Open a connection, within `connect_s` seconds. Raises CannotOpen.

    codepage: in which jobs are written, for the one transport that shows words.
    """
    match address:
        case SerialLine():
            return SerialStream(address)
        case UsbNode(path):
            return UsbStream(path)
        case UsbDevice():
            return UsbStream(find_node(address))
        case Network():
            return TcpStream(address, connect_s)
        case File():
            return FileStream(address)
        case Terminal():
            return TerminalWriter(codepage)
