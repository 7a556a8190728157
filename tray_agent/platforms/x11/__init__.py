"""X11: screen by XShm, input by XI2 raw events, pressing by XTest, the window in front by EWMH.

Nothing is imported here: the guard loads `guard_backend` without paying for numpy and OpenCV.
"""
