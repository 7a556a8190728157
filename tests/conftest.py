"""Fixtures shared by all tests live in plugins of their own; this file only names them."""

pytest_plugins = ["pulse_server", "small_disk", "x11_desktop"]
