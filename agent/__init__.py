"""Greffier: the call recorder at the edge of a telephone network. The map is docs/design.md."""
