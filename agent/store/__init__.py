"""The catalog (SQLite) and the journal (hash-chained lines): all that is known about calls, and all SQL."""
