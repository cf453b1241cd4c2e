"""The evidence report: what is proven of one recording, on a page that a lawyer reads without us."""
