"""How the four processes talk on one box: JSON lines over Unix sockets, asked and answered, or watched."""
