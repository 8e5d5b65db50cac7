"""How far an order may go from where it is. Pure."""

from collections.abc import Mapping

from trader.adapters.state.records import IntentState

_SEEN = frozenset(
    {
        IntentState.ACKNOWLEDGED,
        IntentState.FILLED,
        IntentState.CANCELLED,
        IntentState.REJECTED,
        IntentState.UNRESOLVED,
    }
)

NEXT: Mapping[IntentState, frozenset[IntentState]] = {
    IntentState.INTENDED: _SEEN | {IntentState.SENT, IntentState.DENIED},
    IntentState.SENT: _SEEN,
    IntentState.ACKNOWLEDGED: _SEEN,
    IntentState.UNRESOLVED: _SEEN,
    # Clients report live orders as cancelled, and fills come after cancels: what the wire says later counts.
    IntentState.CANCELLED: _SEEN,
    IntentState.REJECTED: _SEEN,
    IntentState.FILLED: frozenset({IntentState.FILLED}),
    IntentState.DENIED: frozenset({IntentState.DENIED}),
}
"""From each state to those that may follow; INTENDED to anything seen, as a crash may have lost what lay between."""

ENDED = frozenset({IntentState.FILLED, IntentState.CANCELLED, IntentState.REJECTED, IntentState.DENIED})
