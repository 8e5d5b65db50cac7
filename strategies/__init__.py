"""Who proposes. Each module has one class with `propose(outlook) -> Proposal`; see `sma_cross.py` for a short one."""
