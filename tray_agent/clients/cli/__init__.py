"""The command line: one module a verb group, each with `add_parser(subparsers)`. Runs on the main thread."""
