"""The commands of `greffier`, one file each; `agent.cli` gathers them."""
