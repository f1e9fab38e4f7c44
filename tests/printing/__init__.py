"""Tests of the printing: layout, renderings, transports, and the printers that answer."""
