"""macOS, best effort: written after the documentation, NEVER RUN on a Mac. Importing loads nothing of macOS."""
