"""A bundle plays along with a recording; nothing is pressed (runs on the caller's thread, never in the daemon)."""
