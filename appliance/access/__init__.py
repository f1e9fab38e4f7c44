"""Who may come in, and how a device knows the box.

    CONNECT ──▶ broker ──▶ door ──▶ tokens (a device's own)  or  password (the shop's, for all others)

`certificate` is what the box shows first. None of it is in the ledger: a backup of the ledger lets nobody in, and one
that is put back does not let in again whom a person has sent away. `files` looks whether others could read it.
"""
