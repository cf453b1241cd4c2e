"""One target a file. A file here is a target: nothing else has to name it."""
