"""Asking the shop's network for a name ending in `.local`, as a till does (RFC 6762, "One-Shot Multicast DNS Queries").

The system's own resolver is not asked: it may know no mDNS although the box answers to its name, and the other way
round.
"""

import secrets
import socket
import struct
import time
from collections.abc import Iterable
from ipaddress import IPv4Address

GROUP = ("224.0.0.251", 5353)

_HEADER = struct.Struct(">6H")
_RECORD = struct.Struct(">2HIH")
_A, _IN, _IS_ANSWER, _POINTER = 1, 1, 0x8000, 0xC0
_PACKET_MAX = 9000


def resolve(name: str, interfaces: Iterable[str], *, wait_s: float, group: tuple[str, int] = GROUP) -> set[str]:
    """Return the IPv4 addresses that a name is answered with within `wait_s`; none when nobody answers to it.

    interfaces: this machine's addresses in the networks in which to ask.
    """
    asked = secrets.randbits(16)
    question = _name(name) + struct.pack(">2H", _A, _IN)
    query = _HEADER.pack(asked, 0, 1, 0, 0, 0) + question
    found: set[str] = set()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ours:
        for interface in interfaces:
            try:
                ours.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(interface))
                ours.sendto(query, group)
            except OSError:
                continue  # There is no way into that network.
        ends_s = time.monotonic() + wait_s
        while not found and (left_s := ends_s - time.monotonic()) > 0:
            ours.settimeout(left_s)
            try:
                answer = ours.recv(_PACKET_MAX)
            except TimeoutError:
                break
            except OSError:
                continue  # Somebody refused an earlier packet.
            found |= _addresses(answer, asked)
    return found


def _name(name: str) -> bytes:
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"


def _addresses(packet: bytes, asked: int) -> set[str]:
    """Return the addresses in an answer to our question; nothing of what is none, or is cut short."""
    try:
        number, flags, questions, answers, _, _ = _HEADER.unpack_from(packet)
        if number != asked or not flags & _IS_ANSWER:
            return set()
        at = _HEADER.size
        for _ in range(questions):
            at = _after_name(packet, at) + 4
        found = set()
        for _ in range(answers):
            at = _after_name(packet, at)
            kind, _, _, size = _RECORD.unpack_from(packet, at)
            at += _RECORD.size
            if kind == _A and size == 4:
                found.add(str(IPv4Address(packet[at : at + size])))
            at += size
    except (struct.error, IndexError, ValueError):
        return set()
    return found


def _after_name(packet: bytes, at: int) -> int:
    while length := packet[at]:
        if length & _POINTER == _POINTER:
            return at + 2
        at += 1 + length
    return at + 1
