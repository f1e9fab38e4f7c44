"""Paper: a receipt becomes blocks, blocks become bytes, and bytes become a sheet that is known to have come out.

The story is in README.md beside this file.
"""
