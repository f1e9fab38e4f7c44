"""The wire: what a till and the coordinator say to each other, as code, in one place.

README.md is the contract in words and normative, asyncapi.json the same for machines, and examples/ holds one literal
golden message of each kind. `topics`, `operations` and `messages` are the code; `limits` holds every number.
"""
