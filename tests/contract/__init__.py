"""The wire contract: the code, the documents and the literal examples say the same."""
