"""The puller: fetches what one purpose of a Greffier box keeps for a central system. Standard library only.

It knows nothing of the agent: it speaks the feed of docs/feed.md. `greffier-pull --help`, or `greffier pull --help`
where the agent is installed.
"""
