"""The literal messages of appliance/contract/examples/: the one place where they are written down."""

from pathlib import Path

CONTRACT = Path(__file__).parent.parent.parent / "appliance" / "contract"
EXAMPLES = CONTRACT / "examples"


def example(name: str) -> bytes:
    """Return an example's payload; the newline at the end of its file is no part of it."""
    return (EXAMPLES / f"{name}.json").read_bytes().removesuffix(b"\n")


def names() -> set[str]:
    return {path.stem for path in EXAMPLES.glob("*.json")}
