"""What must be true of a simulated shop, and what is raised when it is not."""

SUM = "1: on_hand is the sum of its entries"
ONCE = "2: an acked operation is in the ledger exactly once"
ORDER = "3: revisions and shop time only rise"
SAID = "4: what is committed is said"
DRAINED = "4: everything drains and agrees"
PAPER = "6: a job is printed once, or its copies say so"
SHELF = "7: what is not to be counted again is on the shelf"
"""The invariants, as the rule book of the stock numbers them. The fifth, that the order of arrival decides nothing,
follows from the seventh: the shelf knows of no arrival."""


class Broken(AssertionError):
    """An invariant does not hold. invariant: its name. what: where, and what was expected."""

    def __init__(self, invariant: str, what: str) -> None:
        super().__init__(invariant, what)  # Both, or it does not come back whole from another process.
        self.invariant = invariant

    def __str__(self) -> str:
        return ": ".join(self.args)


def demand(holds: object, invariant: str, *what: object) -> None:
    """Raise Broken unless it holds."""
    if not holds:
        raise Broken(invariant, " ".join(map(str, what)))
