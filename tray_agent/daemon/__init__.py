"""The resident process: one owner of watching, learning and playing."""
