"""The life of a server: listens, answers, and ends on a signal."""

import asyncio
import signal
import socket
from collections.abc import Callable

from aiohttp import web

from trader.adapters.openai.server import ServedModel, Server, ServerRules

SHUTDOWN_S = 2.0
"""What requests in progress have to end by themselves."""


async def serve(model: ServedModel, rules: ServerRules, listening: socket.socket, say: Callable[[str], None]) -> None:
    """Answer at a socket that listens already, until SIGTERM or SIGINT. `say` is told of the beginning and the end."""
    loop = asyncio.get_running_loop()
    ending = asyncio.Event()
    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, ending.set)
    server = Server(model, rules)
    runner = web.AppRunner(
        server.application(), access_log=None, shutdown_timeout=SHUTDOWN_S, handler_cancellation=True
    )
    try:
        await runner.setup()
        await web.SockSite(runner, listening).start()
        say(f"serving {model.identity} ({model.mode}) at {_place(listening)}")
        await ending.wait()
        say("ending")
    finally:
        await runner.cleanup()
        server.close()
        for each in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(each)


def _place(listening: socket.socket) -> str:
    if listening.family == socket.AF_UNIX:
        return str(listening.getsockname())
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}/v1" if ":" in host else f"http://{host}:{port}/v1"
