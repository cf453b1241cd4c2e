"""SIP for a session recording server: pure parsers, builders and tables. No sockets, no clock."""
