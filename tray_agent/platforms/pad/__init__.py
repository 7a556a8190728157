"""Gamepads: reading the player's, pressing a virtual one."""
