"""Alerts: what a person must know, under a name that stays the same while its cause lasts.

An alert is named by its kind and its subject, so raising it again changes the one that is there instead of adding a
second: a device that sends a thousand bad operations has one `rejected` alert.
"""

import hashlib
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Raised:
    """An alert to raise.

    kind: one of the rule book's words. subject: what it is about (a device, a receipt, a SKU).
    summary: one sentence for a person. facts: what a person needs to act, as a JSON object.
    """

    kind: str
    subject: str
    summary: str
    facts: dict[str, object]

    @property
    def alert(self) -> str:
        """The alert's name on the wire: `{kind}-[a-z0-9]{1,32}`. The subject may be any text, so it is digested."""
        return f"{self.kind}-{hashlib.blake2b(self.subject.encode(), digest_size=8).hexdigest()}"


def rejected(device: str, epoch: str, seq: int, code: str, detail: str) -> Raised:
    return Raised(
        kind="rejected",
        subject=device,
        summary=f"{device} sent an operation that could not be taken: {detail}",
        facts={"device": device, "epoch": epoch, "seq": seq, "code": code},
    )


def quarantine(device: str, why: str, size: int) -> Raised:
    return Raised(
        kind="quarantine",
        subject=device,
        summary=f"{device} sent {size} bytes that nobody can read: {why}",
        facts={"device": device, "bytes": size, "reason": why},
    )


def fork(device: str, epoch: str, parents: tuple[str, ...]) -> Raised:
    return Raised(
        kind="fork",
        subject=device,
        summary=f"{device} began anew beside its own past: was its storage copied or restored, or is it there twice?",
        facts={"device": device, "epoch": epoch, "parents": list(parents)},
    )
