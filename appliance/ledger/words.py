"""Words that stand in every row (kinds, causes, codes), stored once and kept in memory."""

import apsw


class Words:
    """The ledger's `word` table, read through. Used by the writer; a reader joins the table."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._ids: dict[str, int] = {}

    def id(self, word: str) -> int:
        """Return a word's number, making one inside the transaction that is under way."""
        known = self._ids.get(word)
        if known is None:
            self._connection.execute("INSERT OR IGNORE INTO word (word) VALUES (?)", (word,))
            known = self._ids[word] = self._connection.execute("SELECT id FROM word WHERE word = ?", (word,)).get
        return known

    def forget(self) -> None:
        """A rolled back transaction takes the words with it that it made."""
        self._ids.clear()
