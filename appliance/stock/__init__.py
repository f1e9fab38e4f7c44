"""The pure rules: what an operation means for the stock.

Everything here is a function of its arguments: no clock, no randomness, no logging, no input or output. Time and
identifiers are passed in, and what must be looked up comes through a port (`reconcile.View`). README.md tells the rules
in words.
"""
