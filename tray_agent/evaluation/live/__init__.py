"""A game in real time in a window on a real X server, before the real daemon: nothing is in lockstep.

`names` what there is; `cell` takes one; `play` hands it over to the product. `window` is a desktop with a packaged
game; `scene` one with snake, whose picture `board` reads, which `snake` plays, `plain` without skill.
"""
