"""The two links between tills and the coordinator: a broker in this process (`embedded`), and a client of another one.

    till ──op──▶ broker ──Delivery──▶ coordinator ──▶ … ──▶ ledger
     ▲             │ ▲
     └─ack, balance┘ └── publish(topic, payload, retain)

Both keep one promise: a message is handed on before it is acknowledged, and its PUBACK leaves after `settled()` was
called, that is, after what it caused is on disk. `ports` says what they need of the rest of the house.
"""
