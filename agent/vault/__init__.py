"""Keys, age files, signatures and the hash chain: everything secret or signed passes through here."""
