"""Fixtures shared by all tests live in plugins of their own, named here. Tests do not depend on the clock."""

from hypothesis import settings

pytest_plugins = ["pulse_server", "small_disk", "x11_desktop"]

settings.register_profile("untimed", deadline=None)  # how long an example takes on a busy machine tells nothing
settings.load_profile("untimed")
