"""Live text: what is said in a call, a moment after it is said, from RAM only and never at the cost of a recording."""
