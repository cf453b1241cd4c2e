"""RTP by the thousand: packet blocks in, stretches of in-order media out. Work is per block and per stream."""
