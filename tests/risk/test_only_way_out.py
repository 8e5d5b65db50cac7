"""Nothing leaves for a broker but through the outbox, behind the order gate: proved on the source, file by file."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PRODUCT = sorted(path for folder in ("trader", "strategies", "scripts") for path in (ROOT / folder).rglob("*.py"))

BROKER_SUBMITS = {
    ("trader/outbox.py", "Outbox._hand_over", "self._broker.submit"),  # the only way out
    ("trader/live/paper_ledger.py", "PaperLedger.submit", "self._behind.submit"),  # a broker around a broker
}
OTHER_SUBMITS = {
    ("scripts/kill_checks.py", "Again.play", "self._broker.submit"),  # a simulation, beside what is judged
    ("scripts/kill_checks.py", "Again.on_fill", "self._broker.submit"),
    ("scripts/fault_scenario.py", "Scenario._repeat_entries", "broker.submit"),  # plants a duplicate, to see it refused
    ("trader/engine.py", "Engine._review", "parts.router.submit"),  # an approval, to the router
    ("trader/advisor/caller.py", "Caller.run", "self._thread.submit"),
    ("trader/advisor/caller.py", "Caller._start", "self._thread.submit"),
    ("trader/adapters/openai/desk.py", "Desk.serve", "self._thread.submit"),
}
"""Every place that reaches for something's `submit`: another one must be looked at, and named here."""

WIRE_VERBS = {"placeOrder", "cancelOrder", "reqGlobalCancel", "exerciseOptions"}
WIRE_WRITERS = {
    "trader/adapters/ib/order_wire.py": {"placeOrder", "cancelOrder", "reqGlobalCancel"},
    "trader/adapters/ib/flatten_tool.py": {"placeOrder", "cancelOrder", "reqGlobalCancel"},
}
"""Who speaks to the wire: the broker's own hand, and the tool that flattens where no daemon does."""

QUESTION, QUESTION_ASKER = "whatIfOrderAsync", ("trader/adapters/ib/margin.py", "_what_if")
"""A what-if is no order, and travels as one: the flag alone keeps the broker from filling it."""

FLATTEN_TOOL, FLATTEN_COMMAND = "trader.adapters.ib.flatten_tool", "trader/commands/flatten_alone.py"
ORDER_WIRE = "trader.adapters.ib.order_wire"
OUTBOX, OUTBOX_MAKER = "Outbox", "trader/router.py"


def name_of(path: Path) -> str:
    """The path as a person writes it."""
    return path.relative_to(ROOT).as_posix()


def places(node: ast.AST, inside: tuple[str, ...] = ()) -> Iterator[tuple[str, ast.AST]]:
    """Every node of a tree, and the classes and functions that it is in."""
    for child in ast.iter_child_nodes(node):
        deeper = inside
        if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            deeper = (*inside, child.name)
        yield ".".join(inside), child
        yield from places(child, deeper)


def nodes() -> Iterator[tuple[str, str, ast.AST]]:
    """Every node of the product: file, place, node."""
    for path in PRODUCT:
        for place, node in places(ast.parse(path.read_text(encoding="utf-8"))):
            yield name_of(path), place, node


NODES = list(nodes())


def test_only_the_outbox_hands_orders_to_a_broker() -> None:
    """Called, passed on as a value, or fetched by its name: each `submit` of the product is one of those above."""
    found = {
        (file, place, ast.unparse(node))
        for file, place, node in NODES
        if isinstance(node, ast.Attribute) and node.attr == "submit"
    }
    assert found == BROKER_SUBMITS | OTHER_SUBMITS
    assert {(file, place) for file, place, node in NODES if _is_text(node, {"submit"})} == set()


def test_only_the_router_has_an_outbox() -> None:
    """Another one would be another way out, with a gate of its own."""
    makers = {
        file
        for file, _, node in NODES
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == OUTBOX
    }
    assert makers == {OUTBOX_MAKER}


def test_every_order_that_the_outbox_takes_is_looked_at_by_the_gate() -> None:
    """Two ways in, both behind `_passes`; it alone asks the gate."""
    ways_in = {
        place.partition(".")[2]
        for file, place, node in NODES
        if file == "trader/outbox.py" and isinstance(node, ast.Attribute) and node.attr == "_passes"
    }
    asks = {(file, place) for file, place, node in NODES if _is_call(node, "_gate.check")}
    assert ways_in == {"send", "send_now"}
    assert asks == {("trader/outbox.py", "Outbox._passes")}


def test_only_risk_approves() -> None:
    """By its name, or by changing one that was approved."""
    makers = {file for file, _, node in NODES if isinstance(node, ast.Call) and _names(node.func, "Approved")}
    converted = {
        file
        for file, _, node in NODES
        if isinstance(node, ast.Call) and any(_names(argument, "Approved") for argument in _arguments(node))
    }
    assert makers == {"trader/risk/review.py"}
    assert {file for file in converted if not file.startswith("trader/risk/")} == {"trader/engine.py"}  # isinstance


def test_only_two_modules_write_orders_to_the_wire() -> None:
    """Neither `trader/live` nor a command does; a declaration of what the library has is no call."""
    found: dict[str, set[str]] = {}
    for file, _, node in NODES:
        if isinstance(node, ast.Attribute) and node.attr in WIRE_VERBS:
            found.setdefault(file, set()).add(node.attr)
    assert found == WIRE_WRITERS
    assert {(file, place) for file, place, node in NODES if _is_text(node, WIRE_VERBS)} == set()


def test_only_one_function_sends_a_question_that_travels_as_an_order() -> None:
    """It looks at the flag first, as its test says; and nobody sets the flag but who makes that order, to True."""
    askers = {(file, place) for file, place, node in NODES if isinstance(node, ast.Attribute) and node.attr == QUESTION}
    flags = [(file, node) for file, _, node in NODES if isinstance(node, ast.keyword) and node.arg == "whatIf"]
    set_later = {
        file
        for file, _, node in NODES
        if isinstance(node, ast.Attribute) and node.attr == "whatIf" and isinstance(node.ctx, ast.Store)
    }
    assert askers == {QUESTION_ASKER}
    assert [(file, ast.unparse(node.value)) for file, node in flags] == [(QUESTION_ASKER[0], "True")]
    assert set_later == set()
    assert {(file, place) for file, place, node in NODES if _is_text(node, {QUESTION, "whatIf"})} == set()


def test_only_its_command_uses_the_flatten_tool_and_only_the_broker_the_order_wire() -> None:
    """Whoever imports one of them could send past the gate."""
    assert importers_of(FLATTEN_TOOL) == {FLATTEN_COMMAND}
    assert {file for file in importers_of(ORDER_WIRE) if not file.startswith("trader/adapters/ib/")} == set()


def importers_of(module: str) -> set[str]:
    """The files that import from a module, or the module itself."""
    package, _, name = module.rpartition(".")
    return {
        file
        for file, _, node in NODES
        if (isinstance(node, ast.ImportFrom) and node.module == module)
        or (isinstance(node, ast.ImportFrom) and node.module == package and name in {each.name for each in node.names})
        or (isinstance(node, ast.Import) and module in {each.name for each in node.names})
    }


def _is_text(node: ast.AST, words: set[str]) -> bool:
    return isinstance(node, ast.Constant) and node.value in words


def _is_call(node: ast.AST, ending: str) -> bool:
    return isinstance(node, ast.Call) and ast.unparse(node.func).endswith(ending)


def _names(node: ast.expr, name: str) -> bool:
    return ast.unparse(node).rpartition(".")[2] == name


def _arguments(call: ast.Call) -> list[ast.expr]:
    return [*call.args, *(keyword.value for keyword in call.keywords)]
