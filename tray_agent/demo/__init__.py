"""`tray-agent demo`: the whole loop on a packaged game, with the real daemon, guard and trainer, and a score."""
