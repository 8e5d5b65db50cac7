"""Finds a strategy by name: a shipped one, a module that can be imported, or a Python file of the user's."""

import importlib
import importlib.util
import inspect
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from types import ModuleType

from trader.errors import ConfigurationError
from trader.ports import Strategy

SHIPPED = ("ppo", "sma_cross", "flat", "random_entries", "buy_and_hold")
Option = str | int | float | bool | None


def load_strategy(name: str, options: Mapping[str, Option]) -> tuple[Strategy, str]:
    """Build the strategy `name` with `options` as keyword arguments; ConfigurationError says what does not fit.

    Returns it with the sha256 of its module's source: two files of one name are two strategies.

    A name that ends in `.py` is a file. The module must define exactly one class with a method `propose`.
    """
    module = _load_file(Path(name)) if name.endswith(".py") else _load_module(name)
    strategy = _strategy_in(module, name)
    try:
        made: Strategy = strategy(**options)
    except TypeError as error:
        msg = f"strategy {name!r} does not take the options {dict(options)}: {error}"
        raise ConfigurationError(msg) from error
    return made, source_sha256(module)


def _load_module(name: str) -> ModuleType:
    target = f"strategies.{name}" if name in SHIPPED else name
    msg = f"strategy {name!r} is not known; one of {', '.join(SHIPPED)}, a module's name or a file ending in .py"
    if not all(part.isidentifier() for part in target.split(".")):
        raise ConfigurationError(msg)
    try:
        with _importing_from(Path.cwd()):
            return importlib.import_module(target)
    except ModuleNotFoundError as error:
        if error.name is None or not target.startswith(error.name):
            raise
        raise ConfigurationError(msg) from error


def _load_file(path: Path) -> ModuleType:
    if not path.is_file():
        msg = f"strategy file {path} does not exist"
        raise ConfigurationError(msg)
    spec = importlib.util.spec_from_file_location(f"strategy_of_{path.stem}", path)
    if spec is None or spec.loader is None:
        msg = f"strategy file {path} cannot be loaded as Python"
        raise ConfigurationError(msg)
    module = importlib.util.module_from_spec(spec)
    sys.modules[module.__name__] = module  # where dataclasses and the like look up their own annotations
    try:
        with _importing_from(path.resolve().parent):
            spec.loader.exec_module(module)
    except SyntaxError as error:
        msg = f"strategy file {path}, line {error.lineno}: {error.msg}"
        raise ConfigurationError(msg) from error
    return module


@contextmanager
def _importing_from(folder: Path) -> Iterator[None]:
    """A command's path has neither the user's folder nor that of his file, unlike that of `python file.py`."""
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))


def _strategy_in(module: ModuleType, name: str) -> type:
    found = [
        member
        for _, member in inspect.getmembers(module, inspect.isclass)
        if member.__module__ == module.__name__ and callable(getattr(member, "propose", None))
    ]
    if len(found) != 1:
        classes = ", ".join(member.__name__ for member in found) or "none"
        msg = f"strategy {name!r} must define exactly one class with a method `propose`; found: {classes}"
        raise ConfigurationError(msg)
    return found[0]


def source_sha256(module: ModuleType) -> str:
    """sha256 of a module's source file; ConfigurationError where it has none."""
    if module.__file__ is None:
        msg = f"strategy module {module.__name__!r} has no source file; a run must be able to say what decided"
        raise ConfigurationError(msg)
    return sha256(Path(module.__file__).read_bytes()).hexdigest()
