"""Scripted players: they stand in for the person. They may look into the game; what learns from them may not."""
