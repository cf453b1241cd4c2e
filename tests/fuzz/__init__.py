"""Fuzzing of all that a peer can send: one file a target in `targets/`, found by its name. How to: docs/fuzzing.md.

A target is a function `target(data: bytes)` that raises when an invariant of the parser does not hold, and `SEEDS`, the
inputs that mutation begins with; where the format has words of its own, `WORDS` lists some.
"""
