"""Environments, training and export: the only place that imports torch; never part of a service."""
