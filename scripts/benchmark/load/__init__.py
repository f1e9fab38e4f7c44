"""The load: tills that sell and screens that watch, in the benchmark's own process.

They are as cheap as Python can make them, because on two cores they compete with the contender: bytes are formatted and
not encoded, one write carries all that a till may send, one read takes all that came. A real till's care (outbox,
resend) is left out; a fault ends the run instead.

    tills    what every contender's till and screen can do, and a shop full of them
    mqtt     a till and a screen of the wire contract, on raw sockets
    crowd    many tills that come back at once

The tills of Redis and PostgreSQL are with these contenders.
"""
