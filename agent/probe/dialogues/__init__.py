"""Text, speech and times of the built-in dialogues."""
