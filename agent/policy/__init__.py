"""Pure functions: which purposes apply, what state the gate is in, which artifacts are permitted, when they expire."""
