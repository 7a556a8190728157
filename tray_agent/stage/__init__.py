"""A stage to measure on: a real desktop of our own, a person's keyboard, and the real daemon.

Benchmarks and evaluation set it up; nothing of the user's desktop is touched.
"""
