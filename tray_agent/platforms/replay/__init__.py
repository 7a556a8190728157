"""A recording as a desktop."""
