"""Benchmarks: each module is one, with `add_arguments(parser)` and `run(options)`, for `tray-agent bench NAME`.

`run` returns {"bench": name, "machine": facts, "metrics": flat numbers}; progress goes to stderr. The modules named
as benchmarks import little, because the command line imports all of them; the others are their stages and children.
"""
