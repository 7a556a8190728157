"""Named lists of games (no I/O)."""

SUITES: dict[str, tuple[str, ...]] = {
    "ten": (
        "pong", "breakout", "skiing", "ms-pacman", "space-invaders", "doom-basic", "doom-health", "doom-center",
        "car-racing-pad", "airstriker",
    ),
    "short": ("doom-basic", "breakout"),
    "x11": ("x11:doom-basic", "x11-snake"),
}  # fmt: skip
"""`ten`: of each kind one or more, none where one held key wins. `short`: two that a small budget teaches. `x11`: in
windows on a real X server, in real time; not for peers."""

PEERS = ("imitation", "plain", "clip", "lstm", "knn", "knn-encoder")
