"""Where calls come from. Each tap turns one way of getting at calls into call events and bound media ports."""
