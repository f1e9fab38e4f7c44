"""`verify`: check that the ledger does not contradict itself."""

from dataclasses import asdict

from rich.console import Console
from rich.progress import Progress

from appliance.cli.config import AsJson, Config, settings_from
from appliance.cli.failure import NOT_WELL, Failure
from appliance.cli.screen import print_json
from appliance.ledger.database import LedgerError
from appliance.ledger.verify import Verified, Violation
from appliance.ledger.verify import verify as verify_ledger


def verify(as_json: AsJson = False, config: Config = None) -> None:
    """Derive every balance, count and receipt anew from the ledger, and compare. Works beside a running coordinator.

    Exits with 4 at the first violation: what is broken, where, what was expected and what was found.

    Example: stock-coordinator verify
    """
    directory = settings_from(config).data_dir
    # The bar goes to standard error, and only to a terminal: what is printed is the verdict alone.
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=None)

        def told(step: str, done: int, total: int) -> None:
            progress.update(task, description=step, completed=done, total=total)

        try:
            verified = verify_ledger(directory, told)
        except LedgerError as error:
            raise Failure(str(error)) from error
        except Violation as violation:
            if as_json:
                print_json(_violated(violation))
            raise Failure(f"the ledger contradicts itself: {violation}", NOT_WELL) from violation
    if as_json:
        print_json({"verified": True, **asdict(verified)})
    else:
        print(_summary(verified))


def _summary(verified: Verified) -> str:
    found = ", ".join(f"{count} {what}" for what, count in asdict(verified).items())
    return f"verified: {found}; no rule is broken"


def _violated(violation: Violation) -> dict[str, object]:
    return {
        "verified": False,
        "what": violation.what,
        "where": violation.where,
        "expected": violation.expected,
        "found": violation.found,
    }
