"""Tray Agent: watches a person play a game, learns meanwhile, then plays it the same way."""

__version__ = "0.1.0"
