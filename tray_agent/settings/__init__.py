"""Configuration: reading it, checking it, noticing edits. No threads; every function runs on its caller's."""
