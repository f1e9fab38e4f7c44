"""Jobs for the printers in the tests: numbered lines, so that a sheet shows whether anything is missing."""

from tests.printing.emulator import Sheet

START = b"\x1c.\x1b@\x1bt\x11"
CUT = b"\x1dV\x42\x00"


def job(name: str, lines: int = 10) -> bytes:
    """Return a job of this many lines, each with its name and its number."""
    return START + "".join(f"{line}\n" for line in job_lines(name, lines)).encode("cp866") + CUT


def job_lines(name: str, lines: int = 10) -> list[str]:
    return [f"{name} строка {number:03d} Молоко 3,2 % = 89,90" for number in range(lines)]


def marker(number: int) -> bytes:
    return b"%04d" % number


def whole(sheets: list[Sheet], name: str, lines: int = 10) -> int:
    """Return on how many sheets the whole job is, every line readable and in its place."""
    return sum("\n".join(job_lines(name, lines)) in sheet.text for sheet in sheets)
