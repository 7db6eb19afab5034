"""A real HTTP server on loopback that serves files well or as badly as mirrors do."""

import http.server
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from urllib.parse import urlsplit


class MirrorServer:
    """Serves `files` under one folder for each way to behave.

    /good/NAME serves the file and /html/NAME an error page with status 200; the other ways are the methods of
    `_Handler` that start with `answer_`. A request for http://ANY.HOST/... is answered as a proxy would.
    """

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self.files = dict(files)
        self.requests: list[str] = []  # the path, or from a proxy's client the whole address, of each so far
        self.closing = threading.Event()
        self.lock = threading.Lock()
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        server.daemon_threads = True
        server.block_on_close = False
        server.mirror = self
        self._server = server
        self.url = f"http://127.0.0.1:{server.server_port}/"

    @contextmanager
    def running(self) -> Iterator["MirrorServer"]:
        thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield self
        finally:
            self.closing.set()
            self._server.shutdown()
            self._server.server_close()
            thread.join()


def closed_address(user: str = "") -> str:
    """Return an address on the loopback at which nobody answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return f"http://{user}127.0.0.1:{listener.getsockname()[1]}/"


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        mirror = self.server.mirror
        with mirror.lock:
            mirror.requests.append(self.path)
            self.nth_request = mirror.requests.count(self.path)
        behaviour, _, name = urlsplit(self.path).path.strip("/").partition("/")
        self.name = name
        content = mirror.files.get(name)
        answer = getattr(self, f"answer_{behaviour}", None)
        try:
            if content is None or answer is None:
                self.send(b"no such file", status=404)
            else:
                answer(content)
        except (BrokenPipeError, ConnectionResetError):
            pass
        self.close_connection = True

    def send(self, body: bytes, *, status: int = 200, length: int | None = None, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.send_header("Connection", "close")
        for key, value in headers.items():
            self.send_header(key.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def wait(self, seconds: float) -> bool:
        """Wait; whether the server still runs."""
        return not self.server.mirror.closing.wait(seconds)

    def answer_good(self, content: bytes) -> None:
        self.send(content)

    def answer_html(self, content: bytes) -> None:
        self.send(b"<!DOCTYPE html><title>Come back later</title>", Content_Type="text/html")

    def answer_wrong(self, content: bytes) -> None:
        self.send(bytes(len(content)))

    def answer_cut(self, content: bytes) -> None:
        self.send(content[: len(content) // 2], length=len(content))

    def answer_short(self, content: bytes) -> None:
        """Cut off by someone upstream, so that the length is right for what is sent."""
        self.send(content[: len(content) // 2])

    def answer_unavailable(self, content: bytes) -> None:
        self.send(b"", status=503)

    def answer_recovering(self, content: bytes) -> None:
        """Fails for the first two requests."""
        if self.nth_request <= 2:
            self.send(b"", status=503)
        else:
            self.send(content)

    def answer_moved(self, content: bytes) -> None:
        self.send(b"", status=302, Location=f"/good/{self.name}")

    def answer_circle(self, content: bytes) -> None:
        self.send(b"", status=302, Location=f"/elcric/{self.name}")

    def answer_elcric(self, content: bytes) -> None:
        self.send(b"", status=302, Location=f"/circle/{self.name}")

    def answer_encoded(self, content: bytes) -> None:
        """Declares a .gz file's own compression as the transfer's, as some servers are set up to."""
        self.send(content, Content_Encoding="gzip")

    def answer_silent(self, content: bytes) -> None:
        while self.wait(0.05):
            pass

    def answer_drip(self, content: bytes) -> None:
        self.send(b"", length=len(content))
        self.drip(content)

    def answer_dripchunks(self, content: bytes) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for position in range(len(content)):
            self.wfile.write(b"1\r\n" + content[position : position + 1] + b"\r\n")
            if not self.wait(0.01):
                return

    def answer_dripheaders(self, content: bytes) -> None:
        self.drip(b"HTTP/1.1 200 OK\r\nX-Padding: " + b"x" * 60000)

    def drip(self, content: bytes) -> None:
        for position in range(len(content)):
            self.wfile.write(content[position : position + 1])
            if not self.wait(0.05):
                return

    def answer_endless(self, content: bytes) -> None:
        self.send_response(200)
        self.end_headers()
        start = time.monotonic()
        while time.monotonic() - start < 30 and self.wait(0):
            self.wfile.write(bytes(1 << 16))

    def answer_garbage(self, content: bytes) -> None:
        self.wfile.write(b"\x00\xff" * 100 + b"\r\n\r\n")
