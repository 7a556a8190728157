"""Sessions in other programs' formats: see FORMATS.md (runs on the caller's thread, never in the daemon)."""
