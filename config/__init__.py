"""The shipped configuration files; `trader.settings` reads them from the folder beside the package."""
