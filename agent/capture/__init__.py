"""The gate, the holdback in RAM, and the encrypted capture log with its recovery (byte layout: docs/capture-log.md)."""
