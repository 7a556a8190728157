"""A desktop that exists nowhere: deterministic, for tests."""
