"""A real game in real time on a real X server, before the real daemon: nothing is in lockstep, nothing stood in for.

`names` what there is; `cell` takes one; `scene` is the desktop and the game; `board` reads its picture; `snake` plays
it, `plain` without skill.
"""
