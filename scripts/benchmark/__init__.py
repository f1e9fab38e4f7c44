"""The benchmark: contenders, each a real process on loopback, through the same cases in the same run.

    __main__     the command: rounds, interleaved; a table, JSON and a plot
    rounds       one run of one case with one contender; many runs made into ratios
    cases/       what is done to a contender, what is read off, and where we want to be
    contenders/  what is measured: ours, and what a shop would run instead
    load/        cheap tills and screens, which load every contender alike
    disk         what a disk allows, and how it is made slower for all of them
    report       the table, the JSON and the plot
    machine      where it ran

One meaning of "durable" holds for all: an operation counts when its till has been told by a message that was sent after
the commit. What a broker answers by itself (the PUBACK) is not looked at, for mosquitto's comes before anything is
stored. After every run the contender is killed, and its database must hold exactly what was counted. `mosquitto` and
`disk` are no rivals but floors: they keep nothing, or say nothing.
"""
