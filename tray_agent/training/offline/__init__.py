"""Learning from recorded sessions while nobody plays: `tray-agent train`, `python -m tray_agent.training.offline`."""
