"""The daemon's end of the control socket, over real sockets: what clients do to it, and what it does to them."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest

from trader.adapters.control import server
from trader.adapters.control.messages import LONGEST_REQUEST, CommandName, Reply, Request, line_of
from trader.adapters.control.server import serving

STATUS = line_of(Request(command=CommandName.STATUS))
LONG_MESSAGE = "x" * 50_000


async def echo(request: Request) -> Reply:
    """Says what it was asked."""
    return Reply(ok=True, message=request.command.value)


async def at_length(request: Request) -> Reply:
    """Fills a client's buffers soon."""
    return Reply(ok=True, message=LONG_MESSAGE)


async def at_some_length(request: Request) -> Reply:
    """Fills them in small steps."""
    return Reply(ok=True, message=LONG_MESSAGE[:10_000])


async def failing(request: Request) -> Reply:
    """Contradicts itself."""
    raise ZeroDivisionError


opened: list[asyncio.StreamWriter] = []


@pytest.fixture(autouse=True)
async def every_client_ends() -> AsyncIterator[None]:
    """What a test has opened is closed with it."""
    yield
    while opened:
        writer = opened.pop()
        writer.transport.abort()
        with suppress(ConnectionError):
            await writer.wait_closed()


async def connect(folder: Path) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A client."""
    reader, writer = await asyncio.open_unix_connection(str(folder / "control.sock"))
    opened.append(writer)
    return reader, writer


async def asked(folder: Path, line: bytes = STATUS) -> Reply:
    """The reply to one line, over a connection of its own."""
    reader, writer = await connect(folder)
    writer.write(line)
    said = await reader.readline()
    writer.transport.abort()
    return reply_of(said)


def reply_of(line: bytes) -> Reply:
    """The reply on a line."""
    return msgspec.json.decode(line, type=Reply)


async def test_request_is_answered_again_and_again_on_one_connection(tmp_path: Path) -> None:
    """A line each way, in order, also where several lines arrive in one piece."""
    async with serving(tmp_path, echo):
        reader, writer = await connect(tmp_path)
        writer.write(line_of(Request(command=CommandName.PAUSE)) + STATUS)
        said = [reply_of(await reader.readline()).message for _ in range(2)]

    assert said == ["pause", "status"]


@pytest.mark.parametrize(
    "line",
    [
        b"\n",
        b"status\n",
        b"\xff\xfe\n",
        b"{}\n",
        b'{"command":"sell"}\n',
        b'{"command":"status","more":1}\n',
        b'{"command":"status","v":2}\n',
        b'{"command":"reset"}\n',
        b'{"command":"reset","rule":"luck"}\n',
        b'{"command":"pause","rule":"low_win_rate"}\n',
        b'{"command":"pause","clear_kill":true}\n',
        b"[" * 4_000 + b"\n",
    ],
)
async def test_malformed_line_gets_an_error_line_and_the_connection_goes_on(tmp_path: Path, line: bytes) -> None:
    """Whatever it is, it is named, and reaches nobody."""
    reached: list[Request] = []

    async def answer(request: Request) -> Reply:
        reached.append(request)
        return await echo(request)

    async with serving(tmp_path, answer):
        reader, writer = await connect(tmp_path)
        writer.write(line)
        refused = reply_of(await reader.readline())
        writer.write(STATUS)
        served = reply_of(await reader.readline())

    assert (refused.ok, refused.message[:13], served.ok, len(reached)) == (False, "not a request", True, 1)


async def test_megabyte_in_one_line_is_refused_and_others_are_served(tmp_path: Path) -> None:
    """It is not read to its end: the client is told how long a line may be, and let go."""
    async with serving(tmp_path, echo):
        reader, writer = await connect(tmp_path)
        writer.write(b"x" * 1_000_000)
        refused = reply_of(await reader.readline())
        served = await asked(tmp_path)
        with suppress(ConnectionError):
            assert await reader.read() == b""

    assert f"longer than {LONGEST_REQUEST} bytes" in refused.message
    assert served.ok


async def test_half_a_line_reaches_nobody(tmp_path: Path) -> None:
    """A client that stops in the middle, or leaves there, has asked for nothing."""
    reached: list[Request] = []

    async def answer(request: Request) -> Reply:
        reached.append(request)
        return await echo(request)

    async with serving(tmp_path, answer):
        _, stopping = await connect(tmp_path)
        stopping.write(STATUS[:10])
        _, leaving = await connect(tmp_path)
        leaving.write(STATUS[:-1])
        leaving.write_eof()
        served = await asked(tmp_path)
        stopping.transport.abort()
        leaving.transport.abort()

    assert (served.ok, len(reached)) == (True, 1)


async def test_silent_client_is_let_go(tmp_path: Path) -> None:
    """It holds a place for a while only."""
    async with serving(tmp_path, echo, silence_s=0.01):
        reader, _ = await connect(tmp_path)
        said = await reader.read()

    assert said == b""


async def test_lines_in_one_piece_leave_the_loop_to_others_between_them(tmp_path: Path) -> None:
    """Whoever sends many at once is answered one by one."""
    turns = 0
    answered_at: list[int] = []

    async def answer(request: Request) -> Reply:
        answered_at.append(turns)
        return await echo(request)

    async def others() -> None:
        nonlocal turns
        while len(answered_at) < 20:
            turns += 1
            await asyncio.sleep(0)

    async with serving(tmp_path, answer), asyncio.TaskGroup() as group:
        _, writer = await connect(tmp_path)
        writer.write(STATUS * 20)
        group.create_task(others())

    assert len(set(answered_at)) == 20


async def test_last_word_reaches_a_client_that_reads_late(tmp_path: Path) -> None:
    """However much waits for it in the kernel and before: what was said at the end of a connection is heard."""
    said = []
    async with serving(tmp_path, at_some_length):
        for count in range(8, 40):
            reader, writer = await connect(tmp_path)
            writer.transport.pause_reading()
            writer.write(line_of(Request(command=CommandName.PAUSE)) * count + b"x" * (2 * LONGEST_REQUEST))
            for _ in range(3 * count):
                await asyncio.sleep(0)
            writer.transport.resume_reading()
            said.append(([await reader.readline() for _ in range(count + 1)][-1], count))

    assert [count for line, count in said if not line or reply_of(line).ok] == []


async def test_client_that_never_reads_is_cut_off_while_others_are_served(tmp_path: Path) -> None:
    """Its replies pile up in its own buffer only, and not for ever."""
    ended = asyncio.Event()
    connections = 0

    async def answer(request: Request) -> Reply:
        nonlocal connections
        connections += 1
        return await (at_length(request) if request.command is CommandName.PAUSE else echo(request))

    async def flood() -> None:
        _, writer = await connect(tmp_path)
        with suppress(ConnectionError):
            while True:
                writer.write(line_of(Request(command=CommandName.PAUSE)))
                await writer.drain()
                await asyncio.sleep(0)
        ended.set()

    async with serving(tmp_path, answer, slow_s=0.05), asyncio.TaskGroup() as group:
        group.create_task(flood())
        while connections < 3:
            assert (await asked(tmp_path)).ok
        await ended.wait()
        served = await asked(tmp_path)

    assert served.ok


async def test_client_that_leaves_in_the_middle_of_an_answer_has_been_heard(tmp_path: Path) -> None:
    """Its command counts; the rest of the answer is nobody's."""
    obeyed = asyncio.Event()
    go_on = asyncio.Event()

    async def answer(request: Request) -> Reply:
        if request.command is CommandName.STATUS:
            return await echo(request)
        obeyed.set()
        await go_on.wait()
        return await at_length(request)

    async with serving(tmp_path, answer):
        _, writer = await connect(tmp_path)
        writer.write(line_of(Request(command=CommandName.FLATTEN)))
        await obeyed.wait()
        writer.transport.abort()
        go_on.set()
        served = await asked(tmp_path)

    assert served.ok


async def test_fifty_clients_at_once_are_all_answered(tmp_path: Path) -> None:
    """Each gets its own reply."""
    names = [CommandName.STATUS, CommandName.PAUSE, CommandName.RESUME, CommandName.KILL, CommandName.FLATTEN] * 10
    async with serving(tmp_path, echo):
        replies = await asyncio.gather(*[asked(tmp_path, line_of(Request(command=name))) for name in names])

    assert [reply.message for reply in replies] == [name.value for name in names]


async def test_more_clients_than_places_are_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who hogs the places cannot make the daemon hold more; who leaves makes room."""
    monkeypatch.setattr(server, "MOST_CLIENTS", 3)
    async with serving(tmp_path, echo):
        hogs = [await connect(tmp_path) for _ in range(3)]
        for reader, writer in hogs:
            writer.write(STATUS)
            await reader.readline()
        refused = reply_of(await (await connect(tmp_path))[0].readline())
        for _, writer in hogs:
            writer.transport.abort()
        while not (served := await asked(tmp_path)).ok:
            pass

    assert (refused.ok, served.ok) == (False, True)
    assert "others are connected" in refused.message


async def test_fault_in_a_command_is_told_and_ends_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The run guards a position: the client and the operational log hear of it, and the next request is answered."""
    async with serving(tmp_path, failing):
        first, second = await asked(tmp_path), await asked(tmp_path)

    assert (first.ok, second.ok) == (False, False)
    assert "ZeroDivisionError" in first.message
    told = [line for line in capsys.readouterr().out.splitlines() if "control_failed" in line]
    assert len(told) == 2


async def test_end_does_not_wait_for_who_says_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connected client that is silent has no say in when a daemon ends; its socket is gone with it."""
    monkeypatch.setattr(server, "PARTING_S", 1_000_000)
    async with serving(tmp_path, echo):
        reader, writer = await connect(tmp_path)
        writer.write(STATUS)
        await reader.readline()
    said = await reader.read()

    assert (said, (tmp_path / "control.sock").exists()) == (b"", False)


async def test_end_lets_an_answer_out_that_is_on_its_way(tmp_path: Path) -> None:
    """A command that the run's last moments have answered is told."""
    reached, go_on = asyncio.Event(), asyncio.Event()

    async def answer(request: Request) -> Reply:
        reached.set()
        await go_on.wait()
        return await echo(request)

    async with serving(tmp_path, answer):
        reader, writer = await connect(tmp_path)
        writer.write(STATUS)
        await reached.wait()
        asyncio.get_running_loop().call_later(0.01, go_on.set)
    reply = reply_of(await reader.readline())

    assert reply.ok


async def test_path_that_is_too_long_for_an_address_is_served_all_the_same(tmp_path: Path) -> None:
    """Addresses of sockets are short, folders need not be."""
    folder = tmp_path / ("deep" * 30)
    folder.mkdir(mode=0o700)
    async with serving(folder, echo):
        descriptor = os.open(folder, os.O_RDONLY)
        reader, writer = await connect(Path(f"/proc/self/fd/{descriptor}"))
        os.close(descriptor)
        writer.write(STATUS)
        reply = reply_of(await reader.readline())

    assert reply.ok
