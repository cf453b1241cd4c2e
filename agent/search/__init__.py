"""Searching transcripts on the box: encrypted shards of an FTS5 index, each of one purpose (docs/search.md)."""
