"""Random worlds: a daemon that dies at any step of its work, an exchange that goes on, a human, and then one plan."""

from exchange_model import Daemon, Exchange
from hypothesis import given, settings
from hypothesis import strategies as st

from trader.adapters.ib.facts import BrokerOrder, OrderKind
from trader.adapters.ib.ours import decision_of
from trader.adapters.ib.plan import ForeignPolicy, Plan
from trader.adapters.ib.reconcile import reconcile
from trader.adapters.state.records import Leg
from trader.domain.actions import Side

BOOKED = [ForeignPolicy.ADOPT, ForeignPolicy.REFUSE]
sides = st.sampled_from(list(Side))
few = st.integers(1, 3)
WORK = st.one_of(
    st.tuples(st.just("enter"), sides, few),
    st.tuples(st.just("listen")),
    st.tuples(st.just("trail"), few),
    st.tuples(st.just("flatten")),
)
FILLS = st.tuples(st.just("fill"), st.sampled_from(list(Leg)), few)
PRICE = st.tuples(st.just("price"), st.integers(-90, 90))
NIGHT = st.tuples(st.just("forget"))
HUMAN = st.one_of(
    st.tuples(st.just("trade"), st.integers(-3, 3)),
    st.tuples(st.just("unseen"), st.integers(-3, 3)),
    st.tuples(st.just("order"), sides),
    st.tuples(st.just("cancel"), st.integers(0, 3)),
    st.tuples(st.just("copy"), st.integers(0, 3)),
    st.tuples(st.just("stray"), sides, few),
)
ALONE = st.lists(st.one_of(WORK, FILLS, FILLS), min_size=1, max_size=12)
ANYTHING = st.lists(st.one_of(WORK, FILLS, PRICE, HUMAN, NIGHT), min_size=1, max_size=14)


def a_world(story: list[tuple], dies_after: int) -> Daemon:
    """The story told; the daemon's part ends after so many steps of its own."""
    exchange = Exchange()
    daemon = Daemon(exchange, dies_after)
    for verb, *about in story:
        tell(daemon, exchange, verb, *about)
    return daemon


def tell(daemon: Daemon, exchange: Exchange, verb: str, *about) -> None:
    """One event."""
    if verb in {"enter", "listen", "trail", "flatten"}:
        if daemon.left >= 0:
            getattr(daemon, verb)(*about)
    elif verb == "fill":
        exchange.fill(*about)
    elif verb in {"cancel", "copy"}:
        disturb(exchange, verb, about[0])
    else:
        happen(exchange, verb, *about)


def happen(exchange: Exchange, verb: str, *about) -> None:
    """Prices, nights, and what others do."""
    match verb:
        case "price":
            exchange.last_ticks += about[0]
        case "forget":
            exchange.executions.clear()
        case "trade" if about[0]:
            exchange.trade(about[0], None, exchange.last_ticks)
        case "unseen":
            exchange.position_qty += about[0]
        case "order":
            exchange.place("", Leg.TARGET, about[0], 1, exchange.last_ticks)
        case "stray":
            exchange.place("NQ-999", Leg.STOP, about[0], about[1], exchange.last_ticks, "NQ-999")


def disturb(exchange: Exchange, verb: str, place: int) -> None:
    """An order of anybody's is cancelled, or is there twice."""
    if place >= len(exchange.orders):
        return
    one = exchange.orders[place]
    if verb == "cancel":
        exchange.cancel(one)
    else:
        exchange.place(one.order_ref, exchange.leg(one) or Leg.TARGET, one.side, one.qty, one.price_ticks)


def planned(daemon: Daemon, policy: ForeignPolicy, *, between: bool = False) -> Plan:
    """What is to be done now, at a start or at a look in between."""
    return reconcile(daemon.known(), daemon.exchange.truth(), policy, daemon.moment(entry_may_rest=between))


def roles(daemon: Daemon) -> dict[Leg | None, list[BrokerOrder]]:
    """Our working orders by role."""
    found: dict[Leg | None, list[BrokerOrder]] = {}
    for each in daemon.exchange.orders:
        if decision_of(each.order_ref) is not None:
            found.setdefault(daemon.exchange.leg(each), []).append(each)
    return found


def assert_safe(daemon: Daemon, position_qty: int) -> None:
    """No orphan, no duplicate, nothing that increases the position, a whole stop or a close behind it."""
    found = roles(daemon)
    if not position_qty:
        assert found == {}
        return
    assert all(len(each) == 1 for each in found.values())
    assert set(found) <= {Leg.STOP, Leg.TARGET, Leg.CLOSE}
    for (each,) in found.values():
        assert each.side * position_qty < 0
        assert each.remaining_qty <= abs(position_qty)
    guards = [each.remaining_qty for leg, (each,) in found.items() if leg is not Leg.TARGET]
    assert abs(position_qty) in guards


def assert_quiet(plan: Plan) -> None:
    """It asks for nothing."""
    assert (plan.executions, plan.foreign, plan.foreign_qty, plan.unexplained_qty) == ((), (), 0, 0)
    assert (plan.cancel, plan.protect_qty, plan.close_qty) == ((), 0, 0)
    assert (plan.amend_stop_ticks, plan.amend_target_ticks) == (None, None)
    assert (plan.bracket, plan.entry_is_over) == (None, False)


@settings(max_examples=400, deadline=None)
@given(ANYTHING, st.integers(0, 30), st.sampled_from(BOOKED))
def test_after_the_plan_the_book_is_the_brokers_and_every_position_is_stopped(
    story: list[tuple], dies_after: int, policy: ForeignPolicy
) -> None:
    """Whatever happened; and a second plan asks for nothing."""
    daemon = a_world(story, dies_after)
    plan = planned(daemon, policy)
    daemon.apply(plan)
    assert daemon.position_qty == plan.position_qty == daemon.exchange.position_qty
    assert_safe(daemon, daemon.position_qty)
    assert_quiet(planned(daemon, policy))


@settings(max_examples=400, deadline=None)
@given(ANYTHING, st.integers(0, 30), st.lists(st.integers(0, 12), max_size=3), st.sampled_from(BOOKED))
def test_a_crash_in_the_middle_of_mending_is_mended(
    story: list[tuple], dies_after: int, again: list[int], policy: ForeignPolicy
) -> None:
    """As often as it dies."""
    daemon = a_world(story, dies_after)
    for steps in again:
        daemon.apply(planned(daemon, policy), steps)
    daemon.apply(planned(daemon, policy))
    assert daemon.position_qty == daemon.exchange.position_qty
    assert_safe(daemon, daemon.position_qty)
    assert_quiet(planned(daemon, policy))


@settings(max_examples=300, deadline=None)
@given(ANYTHING, st.integers(0, 30), st.sampled_from(BOOKED))
def test_a_look_in_between_leaves_the_entry_and_what_belongs_to_it(
    story: list[tuple], dies_after: int, policy: ForeignPolicy
) -> None:
    """Its exits may be as large as the position that it will make; what has filled is stopped all the same."""
    daemon = a_world(story, dies_after)
    daemon.apply(planned(daemon, policy, between=True))
    position_qty = daemon.exchange.position_qty
    assert daemon.position_qty == position_qty
    found = roles(daemon)
    entries = found.pop(Leg.ENTRY, [])
    coming = sum(each.side * each.remaining_qty for each in entries)
    asleep = bool(entries) and not entries[0].filled_qty
    assert len(entries) <= 1
    for several in found.values():
        awake = [each for each in several if not (asleep and each.order_ref == entries[0].order_ref)]
        assert len(awake) <= 1
        assert all(each.side * position_qty < 0 for each in awake)
        assert all(each.remaining_qty <= abs(position_qty + coming) for each in awake)
    if position_qty:
        guards = [each for leg in (Leg.STOP, Leg.CLOSE) for each in found.get(leg, [])]
        awake = [each for each in guards if not (asleep and each.order_ref == entries[0].order_ref)]
        assert max(each.remaining_qty for each in awake) >= abs(position_qty)
    assert_quiet(planned(daemon, policy, between=True))


@settings(max_examples=200, deadline=None)
@given(ANYTHING, st.integers(0, 30))
def test_beside_others_only_ours_is_stopped(story: list[tuple], dies_after: int) -> None:
    """Under `ignore` the rest of the broker's position is theirs."""
    daemon = a_world(story, dies_after)
    plan = planned(daemon, ForeignPolicy.IGNORE)
    daemon.apply(plan)
    assert daemon.position_qty == plan.position_qty
    assert plan.position_qty + plan.ignored_qty == daemon.exchange.position_qty
    assert plan.foreign_qty == 0
    assert_safe(daemon, daemon.position_qty)
    assert_quiet(planned(daemon, ForeignPolicy.IGNORE))


@settings(max_examples=300, deadline=None)
@given(ALONE, st.integers(0, 30))
def test_without_a_human_every_contract_is_explained(story: list[tuple], dies_after: int) -> None:
    """Every execution of ours is found and booked, whenever it died; entries are not stopped."""
    daemon = a_world(story, dies_after)
    plan = planned(daemon, ForeignPolicy.REFUSE)
    assert (plan.foreign, plan.foreign_qty, plan.unexplained_qty) == ((), 0, 0)
    assert plan.may_enter
    daemon.apply(plan)
    assert {each.exec_id for each in daemon.executions} == {each.exec_id for each in daemon.exchange.executions}
    assert_safe(daemon, daemon.exchange.position_qty)


@settings(max_examples=200, deadline=None)
@given(ANYTHING, st.integers(0, 30), st.sampled_from(list(ForeignPolicy)))
def test_no_order_of_somebody_else_is_touched(story: list[tuple], dies_after: int, policy: ForeignPolicy) -> None:
    """Foreign orders are seen and left."""
    daemon = a_world(story, dies_after)
    theirs = [each for each in daemon.exchange.orders if not each.order_ref]
    daemon.apply(planned(daemon, policy))
    assert [each for each in daemon.exchange.orders if not each.order_ref] == theirs


@settings(max_examples=200, deadline=None)
@given(ANYTHING, st.integers(0, 30), st.sampled_from(list(ForeignPolicy)))
def test_a_stop_is_laid_on_the_right_side_of_the_price(
    story: list[tuple], dies_after: int, policy: ForeignPolicy
) -> None:
    """Where that cannot be, the position is closed instead; never both."""
    daemon = a_world(story, dies_after)
    plan = planned(daemon, policy)
    assert not (plan.protect_qty and plan.close_qty)
    last = daemon.exchange.last_ticks
    if plan.protect_qty:
        assert (last - plan.protect_ticks) * plan.position_qty > 0
    if plan.amend_stop_ticks is not None:
        assert (last - plan.amend_stop_ticks) * plan.position_qty > 0


@settings(max_examples=200, deadline=None)
@given(ANYTHING, st.integers(0, 30), st.sampled_from(list(ForeignPolicy)))
def test_the_order_of_what_is_told_changes_nothing(story: list[tuple], dies_after: int, policy: ForeignPolicy) -> None:
    """Orders and executions come as they like."""
    daemon = a_world(story, dies_after)
    truth = daemon.exchange.truth()
    turned = type(truth)(
        **{
            **{name: getattr(truth, name) for name in truth.__struct_fields__},
            "orders": truth.orders[::-1],
            "executions": truth.executions[::-1],
        }
    )
    one, other = (reconcile(daemon.known(), told, policy, daemon.moment()) for told in (truth, turned))
    assert (one.executions, one.stop, one.target, one.protect_qty) == (
        other.executions,
        other.stop,
        other.target,
        other.protect_qty,
    )
    assert sorted(each.perm_id for each in one.cancel) == sorted(each.perm_id for each in other.cancel)


def test_a_market_order_that_is_a_close_is_told_apart_from_an_entry() -> None:
    """The model's orders are read by the same rule as the broker's."""
    exchange = Exchange()
    exchange.place("NQ-1.c1", Leg.CLOSE, Side.SELL, 1, None)
    exchange.place("NQ-1", Leg.ENTRY, Side.BUY, 1, None)
    assert [each.kind for each in exchange.orders] == [OrderKind.MARKET, OrderKind.MARKET]
    assert [exchange.leg(each) for each in exchange.orders] == [Leg.CLOSE, Leg.ENTRY]
