"""How a command fails: with a sentence and an exit code, not with a traceback."""


class Failure(Exception):
    """What a person can mend. The text names the thing and the remedy."""

    def __init__(self, text: str, exit_code: int = 1) -> None:
        super().__init__(text)
        self.exit_code = exit_code


NOT_FOUND = 3
"""Exit code of a command whose thing does not exist, so that a script can tell it from a failure."""

NOT_WELL = 4
"""Exit code of a command that looked at something, and found that it is not as it should be."""
