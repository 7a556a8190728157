"""Sessions on disk: stretches of watching that survive a crash. The format is written down in FORMAT.md."""
