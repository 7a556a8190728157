"""The vocabulary: records and ports. No I/O, no threads; imports only `errors`."""
