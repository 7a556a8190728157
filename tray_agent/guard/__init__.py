"""The guard: a small process, sole owner of everything that presses keys (standard library and the sink only)."""
