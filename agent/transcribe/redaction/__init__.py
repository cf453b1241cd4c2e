"""Redaction: what in a conversation is a card number, a phone number, an address, and everything without it. Pure."""
