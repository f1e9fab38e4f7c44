"""Where devices may find this box: the addresses for its slips, and the names for its certificate."""

import fcntl
import socket
import struct

from appliance.contract.slip import HOSTS_MAX, is_host

_SIOCGIFADDR = 0x8915
"""ioctl that tells an interface's IPv4 address (netdevice(7)); Python has no call for it."""

MDNS_NAME = "stock.local"
"""What the image calls itself."""


def slip_hosts() -> tuple[str, ...]:
    """Return the box's addresses in the shop's network, and last its name there, which stays when they change."""
    return (*own_addresses()[: HOSTS_MAX - 1], own_name())


def certificate_names() -> tuple[str, ...]:
    """Return every name and address by which this box may be called at this moment, itself included."""
    return tuple(dict.fromkeys((MDNS_NAME, own_name(), "localhost", "127.0.0.1", "::1", *own_addresses())))


def own_name() -> str:
    """Return the name by which the box is found in the shop's network (mDNS)."""
    name = f"{socket.gethostname().partition('.')[0]}.local".lower()
    return name if is_host(name) else MDNS_NAME


def own_addresses() -> list[str]:
    """Return the box's IPv4 addresses, but for its own loopback."""
    found = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        for _, interface in socket.if_nameindex():
            asked = struct.pack("256s", interface.encode())
            try:
                answer = fcntl.ioctl(any_socket, _SIOCGIFADDR, asked)
            except OSError:
                continue  # It has no address.
            found.append(socket.inet_ntoa(answer[20:24]))
    return [address for address in found if not address.startswith("127.")]
