"""The ledger: what happened in the shop, durably, in one SQLite file.

`database` opens it, `writer` records a turn's operations in one commit, `reader` answers from it, and `projection` is
what the retained topics show of it. README.md tells why it is built as it is.
"""
