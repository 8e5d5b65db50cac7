"""Trades NQ futures: a PPO agent on every bar, an advisor when it matters, a risk review that can veto both."""

__version__ = "0.1.0"
