"""One module a format: what it looks like on the disk, and which steps it holds."""
