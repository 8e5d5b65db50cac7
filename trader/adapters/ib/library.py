"""Finds the client library: ib_insync or its successor ib_async, whichever is installed, or the one that is asked for.

Imported when it is needed, and on the main thread: both ask for the thread's event loop while they are imported.
"""

import importlib
import threading
from collections.abc import Callable
from enum import StrEnum
from types import ModuleType

from msgspec import Struct

from trader.adapters.ib.foreign import IbContract, IbOrder
from trader.adapters.ib.foreign_client import IB
from trader.errors import ConfigurationError, InvariantError


class LibraryName(StrEnum):
    """Which one to use."""

    AUTO = "auto"
    IB_INSYNC = "ib_insync"
    IB_ASYNC = "ib_async"


_INSTALL = {
    LibraryName.IB_INSYNC: "pip install 'nq-trader[ib]'",
    LibraryName.IB_ASYNC: "pip install 'nq-trader[ib-async]'",
}


class Library(Struct, frozen=True, kw_only=True):
    """What this package uses of a client library. `request_error` is what a request raises that the broker refused; it
    has `code` and `message`."""

    name: LibraryName
    version: str
    ib: Callable[[], IB]
    contract: Callable[..., IbContract]
    future: Callable[..., IbContract]
    cont_future: Callable[..., IbContract]
    market_order: Callable[..., IbOrder]
    limit_order: Callable[..., IbOrder]
    stop_order: Callable[..., IbOrder]
    order: Callable[..., IbOrder]
    execution_filter: Callable[..., object]
    request_error: type[Exception]


def load_library(name: str = LibraryName.AUTO) -> Library:
    """The library of that name; `auto` takes ib_insync where both are there.

    ConfigurationError names the pip command where it is not installed.
    """
    if threading.current_thread() is not threading.main_thread():
        msg = "the client library is imported on the main thread"
        raise InvariantError(msg)
    wanted = LibraryName(name)
    tried = tuple(_INSTALL) if wanted is LibraryName.AUTO else (wanted,)
    for each in tried:
        module = _module(each)
        if module is not None:
            return _library(each, module)
    commands = " or ".join(f"`{_INSTALL[each]}`" for each in tried)
    msg = f"ib.library: {wanted}: no such client library of Interactive Brokers is installed here; get it by {commands}"
    raise ConfigurationError(msg)


def _module(name: LibraryName) -> ModuleType | None:
    """None where it is not installed; what breaks inside it is its own error."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name == name:
            return None
        raise


def _library(name: LibraryName, module: ModuleType) -> Library:
    return Library(
        name=name,
        version=str(module.__version__),
        ib=module.IB,
        contract=module.Contract,
        future=module.Future,
        cont_future=module.ContFuture,
        market_order=module.MarketOrder,
        limit_order=module.LimitOrder,
        stop_order=module.StopOrder,
        order=module.Order,
        execution_filter=module.ExecutionFilter,
        request_error=module.wrapper.RequestError,
    )
