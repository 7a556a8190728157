"""How well does it play? Scripted players are watched, the product learns, fresh episodes are scored.

`cell` what is measured; `store` keeps finished cells; `runner` runs those that are missing, each in a process of its
own (`run_cell`); `statistics` and `report` make the table; `plots` draws it. Layer: above the daemon's parts.
"""
