"""Bundles and playing them with onnxruntime (never torch)."""
