"""Tests of the catalogue: spreadsheets in and out."""
