"""What exists: plain frozen dataclasses and enums. No I/O, no clock, no behaviour beyond derivation."""
