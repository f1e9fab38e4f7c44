"""The system of the image as the settings want it: its name, address, time zone, open ports, and who may log in.

The root is never written, so all this is made anew at each start, before the network comes up, in files that the
programs of the system read. Only root runs it, and only on the image.
"""

import platform
import socket
from pathlib import Path

from appliance.settings import BoxSettings, BrokerSettings, Mode, Plain, Settings

_NETWORK = """\
[Match]
Name=e*

[Link]
RequiredForOnline=no

[Network]
Address={address}
LinkLocalAddressing=ipv6
MulticastDNS=no
"""


def is_image() -> bool:
    """Whether this system is the image, by its own os-release(5)."""
    return platform.freedesktop_os_release().get("IMAGE_ID") == "stock-coordinator"


def apply(settings: Settings, root: Path = Path("/")) -> None:
    """Write the system's files below `root`. Raises OSError."""
    for name, content in system_files(settings).items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600 if name == AUTHORIZED_KEYS else 0o644)
        path.write_text(content, "utf-8")
    if settings.time_zone is not None:
        zone = root / "etc/localtime"
        zone.unlink(missing_ok=True)
        zone.symlink_to(f"/usr/share/zoneinfo/{settings.time_zone.key}")
    if root == Path("/"):
        socket.sethostname(settings.box.hostname)


AUTHORIZED_KEYS = "run/box/authorized_keys"


def system_files(settings: Settings) -> dict[str, str]:
    """Return what stands in which file, by its path below the root."""
    box = settings.box
    files = {
        "etc/hostname": f"{box.hostname}\n",
        "etc/hosts": f"127.0.0.1 localhost\n127.0.1.1 {box.hostname}\n::1 localhost\n",
    }
    if box.address is not None:
        files["run/systemd/network/10-card.network"] = _network(box)
    if ports := _ports(settings.broker):
        files["run/box/ports.nft"] = f"add element inet box open {{ {', '.join(map(str, ports))} }}\n"
    if box.authorized_keys:
        files[AUTHORIZED_KEYS] = "".join(f"{key}\n" for key in box.authorized_keys)
    return files


def _network(box: BoxSettings) -> str:
    lines = [_NETWORK.format(address=box.address)]
    lines += [f"Gateway={box.gateway}\n"] if box.gateway else []
    lines += [f"DNS={server}\n" for server in box.dns]
    return "".join(lines)


def _ports(broker: BrokerSettings) -> list[int]:
    """Return the ports on which the broker listens to the network."""
    if broker.mode is Mode.EXTERNAL:
        return []
    ports = [broker.port if broker.plain is Plain.LAN else 0, broker.tls_port, broker.websocket_port]
    return [port for port in ports if port]
