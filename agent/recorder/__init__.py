"""The recorder process: tap → media → gate → capture log. It writes one thing, the capture log, and no catalog."""
