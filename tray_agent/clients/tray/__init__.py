"""The tray icon: a process of its own that talks to the daemon over the control socket.

A process, because a fault of GTK or of a D-Bus service must never touch the daemon.
"""
