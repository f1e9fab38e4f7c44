"""What a run has shown: each rule of the contract kept, broken or not shown, with the bytes that show it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tests.tills.rules import CONTRACT, RULES, Rule
from tests.tills.scene import Finding
from tests.tills.stage import Played


class Verdict(StrEnum):
    KEPT = "kept"
    BROKEN = "broken"
    NOT_SHOWN = "not shown"


_STYLE = {Verdict.KEPT: "green", Verdict.BROKEN: "bold red", Verdict.NOT_SHOWN: "yellow"}


@dataclass(frozen=True, slots=True)
class Told:
    """A rule, and what was told of it. finding: the first that breaks it, else one that shows it, else None."""

    rule: Rule
    verdict: Verdict
    finding: Finding | None

    def as_json(self) -> dict[str, str | None]:
        return {
            "rule": self.rule.name,
            "verdict": self.verdict.value,
            "scene": None if self.finding is None else self.finding.scene,
            "seen": None if self.finding is None else self.finding.seen,
            "asks": self.rule.asks,
            "paragraph": f"{CONTRACT}#{self.rule.paragraph}",
        }


def sum_up(played: Iterable[Played]) -> list[Told]:
    """Return every rule, in the contract's order. One scene that breaks it is enough."""
    findings = [finding for one in played for finding in one.findings]
    return [_told(rule, [finding for finding in findings if finding.rule == rule.name]) for rule in RULES]


def _told(rule: Rule, findings: Sequence[Finding]) -> Told:
    for finding in findings:
        if not finding.is_kept:
            return Told(rule, Verdict.BROKEN, finding)
    return Told(rule, Verdict.KEPT, findings[0]) if findings else Told(rule, Verdict.NOT_SHOWN, None)


def print_report(console: Console, told: Sequence[Told]) -> None:
    """Print a line for each rule, and below them all that there is to say of those that are broken."""
    table = Table(box=None, pad_edge=False)
    for column in ("rule", "", "the contract asks"):
        table.add_column(column, no_wrap=column != "the contract asks")
    for one in told:
        table.add_row(one.rule.name, Text(one.verdict, _STYLE[one.verdict]), one.rule.asks)
    console.print(table)
    for one in told:
        if one.verdict is Verdict.BROKEN and one.finding is not None:
            console.print(f"\n[bold red]{one.rule.name}[/bold red], in the scene {one.finding.scene}")
            console.print(Text(f"  seen: {one.finding.seen}"), soft_wrap=True)
            console.print(Text(f"  asked: {one.rule.asks} ({CONTRACT}#{one.rule.paragraph})"), soft_wrap=True)
    counts = {verdict: sum(one.verdict is verdict for one in told) for verdict in Verdict}
    console.print("\n" + ", ".join(f"{count} {verdict}" for verdict, count in counts.items()))
