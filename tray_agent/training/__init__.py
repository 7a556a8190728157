"""Learning: the trainer's process (torch) and the daemon's worker that feeds it (no torch)."""
