"""Transports: bytes out, bytes in, and an honest state, to whatever a printer's URL names.

`port` says what a transport is, `address` reads a URL, `opening` opens what it names, and each kind has its own file.
Nothing here knows what the bytes mean, but for `terminal`, which shows their words to a person.
"""
