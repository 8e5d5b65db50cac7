"""Where a server listens: its owner's socket file, or a port that only this machine reaches."""

import os
import socket
import stat

import pytest

from trader.adapters.openai.listening import at_port, at_socket
from trader.errors import InputError, UsageError


def test_socket_file_is_its_owners_alone_and_goes_with_the_server(tmp_path):
    """Mode 0600 from the first moment, whatever the umask; the umask stays as it was."""
    path = tmp_path / "advisor.sock"
    before = os.umask(0)
    try:
        with at_socket(path) as listening:
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            assert listening.getsockname() == str(path)
        assert os.umask(0) == 0
    finally:
        os.umask(before)
    assert not path.exists()


def test_socket_of_a_dead_server_is_replaced(tmp_path):
    """It left its file behind, and nobody listens."""
    path = tmp_path / "advisor.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with at_socket(path):
        assert path.is_socket()


def test_socket_in_use_is_left_alone(tmp_path):
    """Two servers on one path would take each other's questions."""
    path = tmp_path / "advisor.sock"
    with at_socket(path), pytest.raises(InputError, match="another server listens"), at_socket(path):
        pass
    assert not path.exists()


def test_file_that_is_no_socket_is_never_removed(tmp_path):
    """A path given by mistake."""
    path = tmp_path / "weights"
    path.write_text("precious")
    with pytest.raises(InputError, match="no socket"), at_socket(path):
        pass
    assert path.read_text() == "precious"


@pytest.mark.parametrize("name", ["missing/advisor.sock", "x" * 200])
def test_socket_that_cannot_be_made_says_why(tmp_path, name):
    """No such folder, or a path longer than the system takes."""
    with pytest.raises(InputError, match=r"--socket .*cannot be made"), at_socket(tmp_path / name):
        pass


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "gpu.example", "", "127.0.0.1.example"])  # noqa: S104
def test_hosts_that_others_reach_are_refused(host):
    """With what to do instead."""
    with pytest.raises(UsageError, match="put a proxy"), at_port(host, 0):
        pass


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_port_in_use_is_named(host):
    """By the option to change."""
    with at_port(host, 0) as first:
        port = first.getsockname()[1]
        with pytest.raises(InputError, match=f"--port {port}"), at_port(host, port):
            pass
