"""The catalogue and opening balances as a spreadsheet: what `import` reads and `export` writes.

    file ──▶ sheets (rows of text) ──▶ columns (which is which) ──▶ lines (checked) ──▶ changes (operations) ──▶ box

Nothing is written before every line is read and found right, and what the box knows already is not written again: an
import that was cut off is repeated. A sheet never takes back a sale: `on_hand` is an opening balance, for goods that
nobody has received or counted yet, and `counted` is a count that carries the moment at which its sheet was made.
"""
