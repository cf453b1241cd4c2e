"""The desk client: what the agent has on the desktop to pause the recording, and to see whether it is paused.

It is installed on agents' PCs by itself and speaks to the desk over HTTP only; of the recorder it imports nothing.
"""
