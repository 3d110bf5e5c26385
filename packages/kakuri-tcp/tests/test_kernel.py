"""Sockets about which the kernel does not report what this package asks for."""

import os
import socket

import pytest
from kakuri_tcp._kernel import hides_unsent_data, outstanding, reset_on_close


class Transport:
    """A transport above a descriptor, or above none."""

    def __init__(self, descriptor=None, family=socket.AF_INET, **extra):
        self.family = family
        self._descriptor = descriptor
        self._extra = extra

    def fileno(self):
        return self._descriptor

    def get_extra_info(self, name):
        if name == "socket":
            return None if self._descriptor is None else self
        return self._extra.get(name)

    def get_write_buffer_size(self):
        return 7


@pytest.fixture
def no_socket():
    """A descriptor that is not one of a socket."""
    descriptor = os.open(os.devnull, os.O_RDWR)
    yield descriptor
    os.close(descriptor)


def test_outstanding_of_no_transport_is_zero():
    assert outstanding(None) == (0, 0)


def test_outstanding_without_a_socket_is_the_buffer_of_the_transport():
    assert outstanding(Transport()) == (7, 0)


def test_outstanding_of_a_descriptor_without_queues_is_the_buffer_of_the_transport(no_socket):
    assert outstanding(Transport(no_socket)) == (7, 0)


def test_outstanding_of_a_kernel_with_a_shorter_tcp_info_has_nothing_acknowledged(monkeypatch):
    monkeypatch.setattr("kakuri_tcp._kernel._BYTES_ACKED", 1 << 20)
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.create_connection(listener.getsockname()) as client,
    ):
        assert outstanding(Transport(client.fileno())) == (7, 0)


def test_reset_on_close_of_no_socket_does_nothing(no_socket):
    reset_on_close(Transport())
    reset_on_close(Transport(no_socket))


def test_unsent_data_is_hidden_by_tls_only(no_socket):
    assert not hides_unsent_data(Transport(no_socket, sslcontext=object()))
    assert not hides_unsent_data(Transport())
