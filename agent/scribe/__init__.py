"""The scribe: builds the catalog from the capture log, finalises calls, transcribes, derives and encrypts artifacts."""
