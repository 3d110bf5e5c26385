"""A server on plain sockets in a thread, with TLS or without, that does what a test says."""

import contextlib
import os
import socket
import ssl
import struct
import threading

import trustme
from kakuri_tcp import ClientTLS


def read_head(peer):
    """Read to the end of a head and return the bytes."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = peer.recv(4096)
        if not piece:
            break
        data += piece
    return data


def cut(peer):
    """Close the socket below TLS, without close_notify, as when an attacker cuts the connection."""
    os.close(peer.detach())


def reset(peer):
    """Close with a reset."""
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    cut(peer)


def end(peer):
    """Close in order: close_notify over TLS, then a FIN."""
    if isinstance(peer, ssl.SSLSocket):
        peer.settimeout(0)  # not waiting for the client's own close_notify
        with contextlib.suppress(OSError):
            peer.unwrap()
    peer.close()


@contextlib.contextmanager
def raw_server(answer, directory=None):
    """Call `answer(peer)` for each connection; yields the URL and the client's TLS settings.

    Args:
        answer: what to do with a connection; OSError ends it.
        directory: for the files of a certificate; None for no TLS.
    """
    context, settings, scheme = None, None, "http"
    if directory is not None:
        authority = trustme.CA()
        certificate = authority.issue_cert("127.0.0.1")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(context)
        authority.cert_pem.write_to_path(directory / "ca.pem")
        settings, scheme = ClientTLS(ca=directory / "ca.pem"), "https"

    def handle(peer):
        with contextlib.suppress(OSError):
            if context is not None:
                peer = context.wrap_socket(peer, server_side=True)
            with peer:
                answer(peer)

    def accept():
        with contextlib.suppress(OSError):
            while True:
                peer, _ = listener.accept()
                threading.Thread(target=handle, args=(peer,), daemon=True).start()

    listener = socket.create_server(("127.0.0.1", 0))
    accepting = threading.Thread(target=accept, daemon=True)
    accepting.start()
    try:
        yield f"{scheme}://127.0.0.1:{listener.getsockname()[1]}", settings
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        accepting.join()
