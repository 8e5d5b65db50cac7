"""Planted: the session's highs are written to a file, and the next run reads them."""

import json
from pathlib import Path

from trader.domain.actions import Action
from trader.domain.decisions import Proposal

CACHE = Path("highs.json")


class CacheOnDisk:
    def __init__(self):
        self._known = json.loads(CACHE.read_text()) if CACHE.exists() else {}
        self._highs = {}

    def propose(self, outlook):
        date = outlook.session.date
        if date not in self._highs or outlook.bar.high > self._highs[date]:
            self._highs[date] = outlook.bar.high
            CACHE.write_text(json.dumps(self._highs))
        can = outlook.mask >> Action.BUY & 1
        wants = self._known.get(date, 0.0) > outlook.bar.close + 10
        return Proposal(Action.BUY if can and wants else Action.HOLD, 0.8)
