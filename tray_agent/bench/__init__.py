"""Benchmarks of the product's own promises: each module has `add_arguments` and `run` (top layer; run by the CLI)."""
