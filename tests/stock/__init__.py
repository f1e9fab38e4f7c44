"""The pure rules, one file a concept."""
