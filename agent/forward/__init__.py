"""Where artifacts go: destinations that return only when the bytes over there are ours."""
