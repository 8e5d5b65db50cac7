"""The commands' bodies, imported when they run: `trader --help` loads none of them."""
