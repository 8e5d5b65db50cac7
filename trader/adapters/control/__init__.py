"""The operator's way into a running daemon: a unix socket in the state folder, one JSON line each way."""
