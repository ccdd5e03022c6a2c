"""The process inside a pod: opens listeners and connections when told, and says what it did.

Commands come as JSON lines on standard input, answers leave as JSON lines on standard output. It uses
the standard library alone and is started with `python -I -S`, for a quick start.

Every message begins with the talk's token (16 bytes), so that the accepting side can say which
connection it saw from which address: that is how translations become known.
"""

from __future__ import annotations

import json
import socket
import struct
import sys
import threading
import time

TOKEN = 16
DNS = 53
ECHO = {socket.AF_INET: (socket.IPPROTO_ICMP, 8), socket.AF_INET6: (socket.IPPROTO_ICMPV6, 128)}
_speaking = threading.Lock()


def say(**told: object) -> None:
    """Write one answer."""
    with _speaking:
        print(json.dumps(told), flush=True)


def family(address: str) -> socket.AddressFamily:
    """IPv4 or IPv6, by its text."""
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def serve_stream(link: socket.socket, peer: tuple[object, ...], answer: int) -> None:
    """Answer each message of one accepted connection until the peer closes."""
    first = True
    with link:
        while data := link.recv(65536):
            if first:
                say(accepted=data[:TOKEN].decode(), local=link.getsockname()[:2], peer=peer[:2])
                first = False
            link.sendall(data[:TOKEN].ljust(answer, b"."))


def listen_stream(address: str, port: int, answer: int) -> None:
    """Accept TCP connections for ever."""
    door = socket.create_server((address, port), family=family(address), backlog=64)
    say(listening=port, protocol="tcp", address=address)
    while True:
        link, peer = door.accept()
        threading.Thread(target=serve_stream, args=(link, peer, answer), daemon=True).start()


def listen_datagram(address: str, port: int, answer: int) -> None:
    """Answer UDP messages for ever."""
    door = socket.socket(family(address), socket.SOCK_DGRAM)
    door.bind((address, port))
    say(listening=port, protocol="udp", address=address)
    while True:
        data, peer = door.recvfrom(65536)
        token, back = (data[13 : 13 + data[12]], reply(data)) if port == DNS else (data[:TOKEN], b"")
        say(accepted=token.decode(), local=door.getsockname()[:2], peer=peer[:2])
        door.sendto(back or token.ljust(answer, b"."), peer)


def question(token: str) -> bytes:
    """A DNS query for the address of TOKEN.shop.svc.cluster.local (RFC 1035, 4.1)."""
    labels = (token, "shop", "svc", "cluster", "local")
    name = b"".join(bytes([len(label)]) + label.encode() for label in labels)
    return struct.pack("!6H", 4660, 0x0100, 1, 0, 0, 0) + name + struct.pack("!BHH", 0, 1, 1)


def reply(query: bytes) -> bytes:
    """Its answer: one address, 5 s to live."""
    head = query[:2] + struct.pack("!5H", 0x8580, 1, 1, 0, 0)
    return head + query[12:] + struct.pack("!HHHIH4B", 0xC00C, 1, 1, 5, 4, 10, 96, 12, 34)


def exchange(link: socket.socket, told: dict[str, object]) -> tuple[int, int]:
    """Send the messages of one talk and wait for each answer. Returns: payload bytes sent, received."""
    message = str(told["token"]).ljust(TOKEN, ".").encode().ljust(int(str(told["size"])), b"x")
    if told["port"] == DNS:
        message = question(str(told["token"]))
    sent = got = 0
    for number in range(int(str(told["messages"]))):
        if number:
            time.sleep(float(str(told["pause"])))
        link.sendall(message)
        sent += len(message)
        got += len(link.recv(65536))
    return sent, got


def talk(told: dict[str, object]) -> None:
    """Open one connection, or send datagrams, and say its addresses, times and payload bytes."""
    address, protocol = str(told["to"]), told["protocol"]
    kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
    link, start = socket.socket(family(address), kind), time.time()
    link.settimeout(5)
    sent = got = 0
    link.bind((str(told["from"]), 0))
    local = link.getsockname()[:2]  # asked now: a refused connection forgets its port
    say(calling=told["token"], local=local)  # who ends before the talk does has said at least this
    try:
        link.connect((address, int(str(told["port"]))))
        sent, got = exchange(link, told)
        result = "ok"
    except ConnectionRefusedError:
        result = "refused"
    except OSError as error:
        result = f"failed: {error}"
    link.close()
    say(done=told["token"], sent=sent, got=got, start=start, end=time.time(), local=local, result=result)


def echo(told: dict[str, object]) -> None:
    """Send echo requests from a raw socket and wait for the replies."""
    address = str(told["to"])
    protocol, request = ECHO[family(address)]
    link, start = socket.socket(family(address), socket.SOCK_RAW, protocol), time.time()
    link.settimeout(2)
    link.connect((address, 0))
    payload = str(told["token"]).encode().ljust(int(str(told["size"])), b"x")
    sent = got = 0
    for number in range(int(str(told["messages"]))):
        head = struct.pack("!BBHHH", request, 0, 0, 4660, number)
        check = 0 if ":" in address else checksum(head + payload)  # the kernel fills in ICMPv6's
        link.send(struct.pack("!BBHHH", request, 0, check, 4660, number) + payload)
        sent += len(payload)
        got += await_reply(link, payload)
    local = link.getsockname()
    result = "ok" if got == sent else "failed: no reply"
    say(done=told["token"], sent=sent, got=got, start=start, end=time.time(), local=[local[0], None], result=result)


def await_reply(link: socket.socket, payload: bytes) -> int:
    """Wait for the reply that carries our payload; other ICMP of the peer is passed over."""
    try:
        while not link.recv(65536).endswith(payload):
            continue
    except TimeoutError:
        return 0
    return len(payload)


def checksum(data: bytes) -> int:
    """RFC 1071."""
    total: int = sum(struct.unpack(f"!{(len(data) + 1) // 2}H", data + b"\0" * (len(data) % 2)))
    total = (total & 0xFFFF) + (total >> 16)
    return 0xFFFF - ((total + (total >> 16)) & 0xFFFF)


def start(work: object, *words: object) -> None:
    """Run one piece of work beside the others."""
    threading.Thread(target=work, args=words, daemon=True).start()  # type: ignore[arg-type]


def main() -> None:
    """Obey until standard input ends."""
    for line in sys.stdin:
        told = json.loads(line)
        if told["do"] == "listen":
            opener = listen_stream if told["protocol"] == "tcp" else listen_datagram
            start(opener, told["address"], told["port"], told["answer"])
        else:
            start(echo if told["protocol"] in ("icmp", "icmpv6") else talk, told)


if __name__ == "__main__":
    main()
