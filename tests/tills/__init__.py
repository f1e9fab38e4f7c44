"""Conformance of other people's tills: the box is played against a till under test, and its rules are judged."""
