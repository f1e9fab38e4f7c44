"""The benchmark: contenders, each a real process on loopback, through the same cases in the same run.

    __main__     the command: pairs, interleaved; a table and JSON
    pairs        one run of one case with one contender, checked; many runs made into ratios
    cases        what is done to a contender, and what is read off
    contenders   what is measured: ours, and what a shop would run instead (naive.py is one of them)
    tills        the load: cheap tills and a screen on raw sockets, the same for every contender
    crowd        many tills that come back at once
    processes    starting, timing and ending other programs
    machine      where it ran

One meaning of "durable" holds for all: an operation counts when its till has been told, on its `ack` topic, by a
message sent after the commit. What a broker answers by itself (the PUBACK) is not looked at, for mosquitto's comes
before anything is stored. After every run the contender is killed and its database must hold exactly what was counted.
"""
