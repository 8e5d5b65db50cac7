"""Everything that touches the world: files, brokers, feeds, the log. Each module implements a port or a format."""
