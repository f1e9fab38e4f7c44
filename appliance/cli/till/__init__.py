"""`till`: a till in the terminal, with which one can try the box: two laptops, a cable to pull, and it heals in sight.

    keys ─▶ wedge (a scanner's are told from a person's) ─▶ desk ─▶ cart ─▶ appliance.till ─▶ box
                                                             ▲                   │
                                  goods (what is for sale) ──┴─── panes ◀────────┘

`command` is what a person types, and `enrolment` how the till learns which box is its own. `desk` is the screen, with
`dialogs` over it and `panes` in it; only these three know Textual. `cart`, `goods` and `wedge` are pure. All that the
till says is in `sayings`, for one place to translate it.

The invariant: what was paid, given back or counted is in the outbox before the screen says so, and what is in the cart
is on the disk before the next key is read, so that Ctrl+C or a dead battery loses nothing.
"""
