"""Of what the image is made, as one number, and where the last run of its test is written down.

The image takes half an hour to make and to play, so it is not in every run of the suite. What the suite does instead:
it looks whether anything that goes into the image has changed since the test was played.
"""

import hashlib
import re
import stat
from datetime import date
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]
README = CHECKOUT / "deploy" / "README.md"
INPUTS = ("deploy/image", "deploy/rootfs", "deploy/release", "scripts/requirements/box.txt")
"""What goes into it beside the service's own code, which has tests of its own."""

RESULTS = re.compile(r"(<!-- deploy/image/test writes this -->\n).*?(<!-- to here -->)", re.DOTALL)
DIGEST = re.compile(r"^\| digest of the inputs \| `([0-9a-f]+)` \|$", re.MULTILINE)


def image_digest(checkout: Path = CHECKOUT) -> str:
    """Return the digest of the inputs: their names, what they hold, and whether they can be run."""
    digest = hashlib.sha256()
    for path in sorted(_files(checkout)):
        mode = path.lstat().st_mode
        content = str(path.readlink()).encode() if path.is_symlink() else path.read_bytes()
        digest.update(f"{path.relative_to(checkout)} {bool(mode & stat.S_IXUSR)} {len(content)}\n".encode() + content)
    return digest.hexdigest()[:16]


def write_results(measured: dict[str, str], day: date) -> None:
    rows = {"played": str(day), "digest of the inputs": f"`{image_digest()}`", **measured}
    table = "\n".join(["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows.items())])
    text = README.read_text("utf-8")
    README.write_text(RESULTS.sub(lambda found: f"{found[1]}\n{table}\n\n{found[2]}", text), "utf-8")


def _files(checkout: Path) -> list[Path]:
    found = []
    for name in INPUTS:
        path = checkout / name
        found += [path] if path.is_file() else [one for one in path.rglob("*") if one.is_symlink() or one.is_file()]
    return found
