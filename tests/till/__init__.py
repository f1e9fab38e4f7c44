"""The reference device: its outbox on a real disk and its session, against a coordinator that a test scripts."""
