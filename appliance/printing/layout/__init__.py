"""What stands on a pre-check, and where: pure, from a receipt to rows of characters.

`receipt` reads the till's own operation, `precheck` puts it into blocks, `sheet` sets blocks in rows for one paper. No
clock, no files, no printer: the same receipt always gives the same rows.
"""
