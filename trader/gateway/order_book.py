"""All orders of the account, and which of them belong together: parents, children, OCA groups."""

from trader.gateway.orders import Kind, Resting, Status

Group = tuple[str, int, int]


class OrderBook:
    """Orders by client and id. A client that uses an id again replaces what was known under it."""

    def __init__(self) -> None:
        self._by_key: dict[tuple[int, int], Resting] = {}
        self._alive: list[Resting] = []
        self.everything: list[Resting] = []

    def get(self, client_id: int, order_id: int) -> Resting | None:
        """The order that a client knows by this id."""
        return self._by_key.get((client_id, order_id))

    def add(self, order: Resting) -> None:
        """Take a new order in."""
        self._by_key[order.key] = order
        self.everything.append(order)
        self._alive.append(order)

    def working(self) -> list[Resting]:
        """What something can still become of, oldest first."""
        self._alive = [each for each in self._alive if each.is_working]
        return list(self._alive)

    def parent(self, order: Resting) -> Resting | None:
        """The order that this one waits for."""
        return self.get(order.client_id, order.spec.parent_id) if order.spec.parent_id else None

    def children(self, order: Resting) -> list[Resting]:
        """The working orders that wait for this one, or protect what it bought."""
        return [each for each in self.working() if each.spec.parent_id and self.parent(each) is order]

    def siblings(self, order: Resting) -> list[Resting]:
        """The other working orders of its OCA group, or of its parent."""
        group = group_of(order)
        return [each for each in self.working() if each is not order and group_of(each) == group]

    def is_active(self, order: Resting) -> bool:
        """Whether it may fill: transmitted, and its parent has."""
        return order.is_working and order.status is not Status.HELD and self.fillable(order) > 0

    def fillable(self, order: Resting) -> int:
        """Contracts that may fill now: a child protects no more than its parent has bought."""
        parent = self.parent(order)
        return order.remaining if parent is None else min(order.remaining, parent.filled - order.filled)

    def brackets(self) -> list[list[Resting]]:
        """Active orders that are not at market, those of one group and side together, oldest group first."""
        found: dict[tuple[Group, int], list[Resting]] = {}
        for order in self.working():
            if order.kind is not Kind.MARKET and self.is_active(order):
                found.setdefault((group_of(order), int(order.side)), []).append(order)
        return list(found.values())


def group_of(order: Resting) -> Group:
    """What orders of one OCA group, or of one parent, have in common; an order alone has its own."""
    if order.spec.oca_group:
        return order.spec.oca_group, 0, 0
    if order.spec.parent_id:
        return "", order.client_id, order.spec.parent_id
    return "", -1, order.perm_id
