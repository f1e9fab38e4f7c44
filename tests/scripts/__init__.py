"""The commands that a person types in the checkout."""
