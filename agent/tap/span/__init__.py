"""The passive tap: calls overheard on a mirror port or in a capture file, without a word to anybody."""
