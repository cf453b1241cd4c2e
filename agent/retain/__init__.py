"""Forgetting on time: local deadlines, legal holds, and the life of the working identities."""
