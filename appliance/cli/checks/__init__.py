"""What `doctor` looks at, one file for each part of the box.

Each check is a generator of findings, in the order in which a person would look; it asks the running coordinator where
there is one, and else what it left on the disk. Nothing is changed by looking.
"""
