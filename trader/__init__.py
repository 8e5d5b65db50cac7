"""Trades NQ futures: a PPO agent on every bar, an advisor when it matters, a risk review that can veto both."""

from trader.kernel_cache import use_fresh_cache

__version__ = "0.1.0"

use_fresh_cache()
