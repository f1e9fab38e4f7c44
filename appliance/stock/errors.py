"""What the rules say about an operation that they cannot take at its word.

A rejection is a fact too: it is committed under the operation's identity, and the ack names it to the device. So a bad
operation never blocks the ones behind it and is never lost.
"""


class Rejected(Exception):
    """An operation that is malformed or contradicts itself; it is committed without any effect.

    code: a word of the wire contract, for programs (`bad-quantity`).
    detail: a sentence for a person that names the field, its value and the remedy.
    """

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail
