"""The only code that makes threads, child processes and sockets (the guard excepted)."""
