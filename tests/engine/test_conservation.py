"""Any market, any valid decisions: money is conserved, stops rest and only tighten, positions never turn over."""

from hashlib import sha256

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from ledger import Ledger, Watch
from line_builders import BASE, UNEXPLAINED, Drive

from trader.adapters.paper_broker import Faults
from trader.domain.instruments import INSTRUMENTS
from trader.domain.sessions import MINUTE_NS
from trader.records import Canonical, FillRecord, Line

NQ = INSTRUMENTS["NQ"]
PORTIONS: dict[int, list[tuple[int, ...]]] = {1: [(1,)], 2: [(2,), (1, 1)], 3: [(3,), (1, 2), (2, 1), (1, 1, 1)]}
AT_LAST_CLOSE = {"forced_close", "roll"}
SLIPPAGE = 1


class TradingMachine(RuleBasedStateMachine):
    """Feeds bars of any shape with any valid proposal, and checks the books after each."""

    @initialize(
        qty=st.integers(1, 3),
        data=st.data(),
        tight=st.booleans(),
        flattens=st.booleans(),
        rejected=st.sets(st.integers(1, 6), max_size=2),
    )
    def begin(self, qty: int, data: st.DataObject, tight: bool, flattens: bool, rejected: set[int]) -> None:
        """A warm line with three ways to differ: size and portions, limits, rejections."""
        portions = data.draw(st.dictionaries(st.integers(1, 8), st.sampled_from(PORTIONS[qty])), label="portions")
        limits = ("300", "200") if tight else ("20000", "20000")
        self.drive = Drive(
            f"execution.qty={qty}",
            f"execution.max_position_qty={qty}",
            "execution.entry_window=all",
            f"account.trailing_limit_usd={limits[0]}",
            f"account.daily_limit_usd={limits[1]}",
            f"account.daily_loss_flattens={str(flattens).lower()}",
            "risk.max_consecutive_losses=1000",
            "risk.min_win_rate_threshold=0",
            "risk.max_trades_per_session=1000",
            faults=Faults(rejected_entries=frozenset(rejected), entry_portions=portions),
        ).warm("10:00")
        self.ledger = Ledger(NQ, 225, 5_000_000, qty)
        self.watch = Watch(self.drive.parts.broker)
        self.drive.parts.router.connect(self.watch)
        self.account_no = 1
        self.last_close = 0
        self.rests = (self.watch.side, self.watch.stop)

    @rule(
        gap=st.one_of(st.just(0), st.integers(-60, 60)),
        up=st.integers(0, 120),
        down=st.integers(0, 120),
        share=st.integers(0, 8),
        pick=st.integers(0, 5),
    )
    def bar(self, gap: int, up: int, down: int, share: int, pick: int) -> None:
        """One bar: opens `gap` away, reaches `up` and `down` from there, closes somewhere between."""
        opened = self.drive.level + gap
        self.drive.strategy.pick = pick
        self._drive(
            open=opened,
            high=opened + up // 4,
            low=opened - down // 4,
            close=opened - down // 4 + (up // 4 + down // 4) * share // 8,
        )

    @rule(spread=st.integers(40, 150), pick=st.integers(0, 5))
    def wide_bar(self, spread: int, pick: int) -> None:
        """A bar that may hold stop and target."""
        self.drive.strategy.pick = pick
        self._drive(high=self.drive.level + spread, low=self.drive.level - spread)

    @rule(up=st.booleans(), bars=st.integers(2, 12), pick=st.integers(0, 5))
    def trend(self, up: bool, bars: int, pick: int) -> None:
        """Some bars in one direction: what break-even and trail are for."""
        for _ in range(bars):
            self.drive.strategy.pick = pick
            step = 8 if up else -8
            level = self.drive.level
            self._drive(close=level + step, high=max(level, level + step) + 2, low=min(level, level + step) - 2)

    @rule(minutes=st.one_of(st.integers(1, 60), st.integers(1, 1_500)))
    def nobody_trades(self, minutes: int) -> None:
        """Missing minutes; where the session has no more, the next one is entered a while after its open."""
        drive = self.drive
        drive.now_ns += minutes * MINUTE_NS
        if drive.now_ns > drive.session.close_ns - MINUTE_NS:
            drive.next_session().skip_to("04:00")

    @rule(pick=st.integers(1, 2))
    def enter(self, pick: int) -> None:
        """Two bars that hardly move: an entry and its fill, where they are allowed."""
        for _ in range(2):
            self.bar(gap=0, up=20, down=20, share=4, pick=pick)

    @rule()
    def evening(self) -> None:
        """The minutes around the time to be flat, some of them missing."""
        self.drive.now_ns = max(self.drive.now_ns, self.drive.session.close_ns - 13 * MINUTE_NS)
        for _ in range(4):
            self.bar(gap=3, up=20, down=20, share=4, pick=0)
            self.nobody_trades(1)

    @rule(offset=st.integers(-300, 300))
    def roll(self, offset: int) -> None:
        """The first bar of another contract."""
        self.drive.roll("NQM23" if self.drive.symbol == "NQH23" else "NQH23", offset)
        self.bar(gap=0, up=40, down=40, share=4, pick=0)

    @rule(on=st.booleans())
    def pause(self, on: bool) -> None:
        """The operator's switch."""
        if on:
            self.drive.engine.controls.pause()
        else:
            self.drive.engine.controls.resume()

    @invariant()
    def stop_rests(self) -> None:
        """A position has its stop at the broker, where the book has it, on the losing side of the last price."""
        book = self.drive.book
        if book.position_qty == 0:
            return
        side = 1 if book.position_qty > 0 else -1
        assert self.watch.side == side
        assert self.watch.stop == book.stop_ticks
        assert side * (self.drive.level + BASE - book.stop_ticks) > 0

    def _drive(self, *, high: int, low: int, close: int | None = None, open: int | None = None) -> None:
        self.rests = (self.watch.side, self.watch.stop)  # of the position that the bar meets: it may enter another
        self._take(self.drive.bar(open=open, high=high, low=low, close=close))

    def _take(self, record: Canonical) -> None:
        if self.drive.now_ns > self.drive.session.close_ns - MINUTE_NS:
            self.drive.next_session()
        for fill in record.fills:
            self._check_price(fill.price, fill.reason, record)
            self.ledger.take(fill)
            self._check_break_even(fill)
        if record.account.account != self.account_no:
            self.account_no += 1
            self.ledger.renew()
        self._check_money(record)
        if any(order.kind == "bracket" for order in record.orders):
            assert self.ledger.qty == 0, "an entry while a position is open"
        self.last_close = NQ.to_ticks(record.bar.c)

    def _check_price(self, price: float, reason: str | None, record: Canonical) -> None:
        at = NQ.to_ticks(price)
        if reason in AT_LAST_CLOSE:
            assert abs(at - self.last_close) <= 2 * SLIPPAGE
        else:
            assert NQ.to_ticks(record.bar.l) - SLIPPAGE <= at <= NQ.to_ticks(record.bar.h) + SLIPPAGE

    def _check_break_even(self, fill: FillRecord) -> None:
        """Stopped where break-even was laid, in however many portions it was entered, a trade does not lose."""
        side, stop = self.rests
        if fill.reason == "break_even" and stop is not None:
            gap_ticks = side * (stop - NQ.to_ticks(fill.price)) - SLIPPAGE
            assert gap_ticks > 0 or (fill.pnl or 0.0) >= 0

    def _check_money(self, record: Canonical) -> None:
        book, account = self.drive.book, record.account
        close = NQ.to_ticks(record.bar.c)
        assert account.position == self.ledger.qty == book.position_qty
        assert round(account.balance * 100) == self.ledger.balance_cents()
        assert round(account.equity * 100) == self.ledger.balance_cents() + self.ledger.unrealized_cents(close)
        assert book.realized_cents == sum(self.ledger.results_cents)
        assert account.trades == len(self.ledger.results_cents)

    def teardown(self) -> None:
        """The run ends: every trade is closed, costs are two sides each, and the chain holds."""
        if not hasattr(self, "drive"):
            return
        end = self.drive.finish()
        for fill in end.fills:
            self.ledger.take(fill)
        assert self.ledger.qty == end.account.position == 0
        report = self.drive.report()
        assert round(report.result.net_pnl_usd * 100) == sum(self.ledger.results_cents)
        assert round(report.result.commissions_usd * 100) == self.ledger.commissions_cents
        assert report.trades.trades == len(self.ledger.results_cents)
        assert self.drive.journal.head == chain_head(self.drive.journal.lines)


def chain_head(lines: list[bytes]) -> str:
    """The head that the lines' own payloads give, each line's hash checked on the way."""
    head = ""
    for raw in lines:
        line = msgspec.json.decode(raw, type=Line)
        payload = next(bytes(part) for part in (line.c, line.e, line.start, line.continue_, line.end) if bytes(part))
        head = sha256(head.encode() + payload).hexdigest()
        assert line.hash == head
    return head


TestTrading = TradingMachine.TestCase
TestTrading.settings = settings(UNEXPLAINED, max_examples=60, stateful_step_count=40)
