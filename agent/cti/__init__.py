"""Telephone systems that tell of calls and press pause: Asterisk by AMI and ARI, FreeSWITCH by its event socket."""
