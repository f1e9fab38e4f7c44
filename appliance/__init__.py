"""Stock Coordinator: one shop's balances, kept true on a small box.

A sale's way through this package, from top to bottom:

    till ──op──▶ broker ──▶ coordinator ──▶ stock (pure rules) ──▶ ledger (SQLite, one commit)
     ▲                                                             │
     └──── ack, balance, changes ◀──── announce ◀──────────────────┘

`contract` is the wire that both ends speak, `access` says who may come in, `till` is the reference device, `control`
and `cli` are how a person asks a running box, and `app` builds it all.
"""

__version__ = "0.1.0"
