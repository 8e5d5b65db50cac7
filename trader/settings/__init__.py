"""The configuration: typed, layered, checked, and hashed. The core is given values from it and never imports it."""

from trader.settings.arming import arm_token, identity_of, verify_armed
from trader.settings.hashing import decision_hash, full_hash
from trader.settings.keys import decision_keys, limit_keys
from trader.settings.layers import SHIPPED_DIR
from trader.settings.loading import Profile, load_settings, unstated_limits
from trader.settings.schema import Settings, WindowSettings

__all__ = [
    "SHIPPED_DIR",
    "Profile",
    "Settings",
    "WindowSettings",
    "arm_token",
    "decision_hash",
    "decision_keys",
    "full_hash",
    "identity_of",
    "limit_keys",
    "load_settings",
    "unstated_limits",
    "verify_armed",
]
