"""A relay that keeps what passes, and eyes for what is in it."""

import socket
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

MOST_BYTES = (1 << 14) + 2048
"""Of a record of TLS 1.2 (RFC 5246, section 6.2.3); one of TLS 1.3 is smaller."""
HANDSHAKE, RECORDS = 22, range(20, 25)


@dataclass
class Relay:
    """Passes bytes on as they come, and keeps them: per connection those up and those down."""

    port: int
    connections: list[tuple[bytearray, bytearray]] = field(default_factory=list)

    def seen(self):
        return [bytes(way) for connection in self.connections for way in connection]


@contextmanager
def relay_to(port, *, at=0):
    """A relay to a port, at a port of its own (``at``; 0: any)."""
    with socket.create_server(("127.0.0.1", at)) as listening:
        relay = Relay(listening.getsockname()[1])
        threading.Thread(target=_accept, args=(listening, relay, port), daemon=True).start()
        yield relay


def _accept(listening, relay, port):
    with suppress(OSError):  # the relay is closed
        while True:
            near, _ = listening.accept()
            far = socket.create_connection(("127.0.0.1", port))
            up, down = bytearray(), bytearray()
            relay.connections.append((up, down))
            threading.Thread(target=_pass_on, args=(near, far, up), daemon=True).start()
            threading.Thread(target=_pass_on, args=(far, near, down), daemon=True).start()


def _pass_on(source, target, kept):
    with suppress(OSError):
        while data := source.recv(1 << 16):
            kept.extend(data)
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def not_tls(data):
    """Where bytes of one direction are no sequence of TLS records; empty if they are. The last may be cut short."""
    at = 0
    while at < len(data):
        header = data[at : at + 5]
        kinds = RECORDS if at else (HANDSHAKE,)
        whole = header[0] in kinds and header[1:2] in {b"", b"\3"} and header[2:3] <= b"\4"
        length = int.from_bytes(header[3:], "big")
        if not whole or (len(header) == 5 and not 0 < length <= MOST_BYTES):
            return f"byte {at}: {header.hex()}"
        at += 5 + length
    return ""


def in_plain(seen, words):
    return sorted({word for word in words for data in seen if word in data})
