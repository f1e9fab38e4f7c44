"""Why a box does not start, in words for the person who starts it."""


class CannotStart(Exception):
    """The box cannot start as it is set up. The text names the thing and the remedy."""
