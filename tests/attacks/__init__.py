"""A table of attacks on a real box, while a till sells on it: nothing is forged, lost, or held for long.

    attacks        what is done to the box, each by a process of its own
    scene          the box, the till that sells, and gauges of both
    test_attacks   every attack, some with fewer repeats than the table
    __main__       `python -m tests.attacks`: all of them whole, as a table; README.md keeps one

The attacker is the strongest that the contract knows: at the till's own address, as behind one router, and where it
says so with the shop's password.
"""
