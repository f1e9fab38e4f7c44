"""Tests of the two brokers, by raw packets and by clients that we did not write."""
