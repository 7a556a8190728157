"""Names of what is measured live (no I/O)."""

SNAKE = "x11-snake"
"""Has a profile, and no packaged environment."""
_IN_A_WINDOW = "x11:"


def is_live(game: str) -> bool:
    """Whether it is played in real time on a desktop: snake, or "x11:GAME", a packaged game in its window."""
    return game == SNAKE or game.startswith(_IN_A_WINDOW)


def profile_name(game: str) -> str:
    """The game whose profile it is played with."""
    return game.removeprefix(_IN_A_WINDOW)
