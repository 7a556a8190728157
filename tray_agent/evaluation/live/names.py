"""Names of the games that are measured live (no I/O)."""

SNAKE = "x11-snake"
LIVE_GAMES = frozenset({SNAKE})
"""Each has a profile, and no packaged environment."""
