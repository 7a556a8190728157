"""Adapters to operating systems: one package per platform, no logic of the product in them."""
