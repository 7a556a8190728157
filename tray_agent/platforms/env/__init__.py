"""Games that come as Python packages, as desktops. Imports nothing: the guard reaches its backend through here."""
