"""The loopback gateway: the server's side of the TWS protocol, fed from recorded bars. Imports no client library."""
