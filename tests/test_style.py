"""House rules that no linter knows: sizes, who makes an approval, and what is caught."""

import ast
import re
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PRODUCT = sorted(path for folder in ("trader", "strategies", "scripts") for path in (ROOT / folder).rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))

# What is long because it is one pass (a kernel) or one table or wire layout. Each entry is a folder or a file.
MAY_BE_LONG = ("trader/kernels/",)

FUNCTION_LINES, FILE_LINES, CLASS_LINES, CLASS_METHODS, PARAMETERS = 50, 400, 250, 12, 6


class AboveAim(UserWarning):
    """Larger than it should be, not yet so large that the test fails."""


Function = ast.FunctionDef | ast.AsyncFunctionDef


def name_of(path: Path) -> str:
    """The path as a person writes it."""
    return path.relative_to(ROOT).as_posix()


def lines_of(node: ast.stmt) -> int:
    """Lines from the name to the end, decorators left out."""
    return (node.end_lineno or node.lineno) - node.lineno + 1


def parameters_of(function: Function) -> int:
    """Parameters that a caller gives, self and cls left out."""
    names = [argument.arg for argument in (*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs)]
    return len([name for name in names if name not in {"self", "cls"}])


def sizes_in(path: Path) -> Iterator[tuple[str, int, int]]:
    """What is measured in a file: a name, its size, and the size to aim at."""
    text = path.read_text(encoding="utf-8")
    yield name_of(path), text.count("\n"), FILE_LINES
    if path in TESTS:
        return
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, Function):
            place = f"{name_of(path)}:{node.lineno} {node.name}"
            yield f"{place}, lines", lines_of(node), FUNCTION_LINES
            yield f"{place}, parameters", parameters_of(node), PARAMETERS
        elif isinstance(node, ast.ClassDef):
            place = f"{name_of(path)}:{node.lineno} {node.name}"
            yield f"{place}, lines", lines_of(node), CLASS_LINES
            yield f"{place}, methods", sum(isinstance(item, Function) for item in node.body), CLASS_METHODS


@pytest.mark.filterwarnings("default::UserWarning")
def test_sizes_stay_below_twice_the_aim() -> None:
    """Small functions, classes and files; what is above the aim is named, what is twice as large fails."""
    measured = [
        entry for path in PRODUCT + TESTS if not name_of(path).startswith(MAY_BE_LONG) for entry in sizes_in(path)
    ]
    above = [f"{what}: {size}, aim {aim}" for what, size, aim in measured if size > aim]
    if above:
        warnings.warn("\n".join(["above the aim:", *above]), AboveAim, stacklevel=1)
    assert [f"{what}: {size}" for what, size, aim in measured if size > 2 * aim] == []


def test_approved_is_made_by_the_risk_review_only() -> None:
    """Nothing outside trader/risk can put together an order that the router takes."""
    makers = {
        name_of(path)
        for path in PRODUCT
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == "Approved"
    }
    assert makers
    assert {maker for maker in makers if not maker.startswith("trader/risk/")} == set()


def test_broad_except_states_its_reason() -> None:
    """Who catches everything says on that line why, and what becomes of it."""
    broad = re.compile(r"except(\s+\(?.*\b(Base)?Exception\b.*)?:")
    assert [
        f"{name_of(path)}:{number}"
        for path in PRODUCT + TESTS
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if broad.match(line.strip()) and not re.search(r"#.* --? .{15,}|#(?! noqa).{15,}", line)
    ] == []
