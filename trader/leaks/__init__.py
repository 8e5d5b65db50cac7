"""Proving that a decision knows nothing of later bars, and that a value does not depend on where its history begins."""
