"""Downloads through pooch: a file arrives complete and with the right hash, or not at all.

pooch streams to a temporary file, checks the digest and only then moves the file into place. This module adds
mirrors in order, retries with back-off, and a minimum speed, which requests' timeouts do not provide: each
byte that arrives restarts them.
"""

import hashlib
import http.client
import logging
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from mnistbench.errors import DataError

_LOG = logging.getLogger(__name__)

_CHUNK_BYTES = 4096
_POLL_SECONDS = 0.02

# Responses after which the same request may soon succeed (RFC 9110, RFC 6585).
_TEMPORARY_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})


@dataclass(frozen=True)
class Mirror:
    """One place that serves a data set."""

    url: str  # the address before the file names, ending in a slash
    files: Mapping[str, str | None]  # by name, SHA-256, or "md5:" and MD5; None if none is published
    query: str = ""  # what follows the file names in their addresses


@dataclass(frozen=True)
class Patience:
    """How long to wait for a mirror."""

    connect_seconds: float = 5.0  # limit on connecting
    read_seconds: float = 20.0  # limit on the wait between two bytes
    attempts: int = 3  # attempts for each file, where another attempt can help
    backoff_seconds: float = 0.5  # wait before the second attempt; doubled each time
    slow_seconds: float = 20.0  # over which the minimum speed must hold, look-up and connecting included
    slow_bytes_per_second: float = 4096.0  # the minimum speed
    maximum_bytes: int = 64 << 20  # the largest file accepted


class _DownloadError(Exception):
    """One failed attempt.

    Attributes:
        temporary: Whether another attempt may succeed.
        unreachable: Whether the server was never reached, whichever the file.
    """

    def __init__(self, reason: str, *, temporary: bool, unreachable: bool = False) -> None:
        super().__init__(reason)
        self.temporary = temporary
        self.unreachable = unreachable


@dataclass(frozen=True)
class Delivery:
    """A mirror's files, all verified."""

    paths: dict[str, Path]  # the path of each file by its name
    source: str  # the mirror's address, without credentials


class MirrorsExhaustedError(Exception):
    """No mirror delivered; `failures` has one (address, reason) for each mirror, in the order tried."""

    def __init__(self, failures: Sequence[tuple[str, str]]) -> None:
        super().__init__("; ".join(f"{address}: {reason}" for address, reason in failures))
        self.failures = tuple(failures)


def download(
    mirrors: Sequence[Mirror], folder: Path, *, patience: Patience, show_progress: bool = False
) -> Delivery:
    """Download all files from the first mirror that delivers every one intact.

    Files of the same name and digest that an earlier mirror delivered are kept.

    With `show_progress`, the outcome of each mirror is printed on standard error, with a bar for each file if
    that is a terminal.

    Raises:
        MirrorsExhaustedError: No mirror delivered every file.
        DataError: The files could not be written.
    """
    failures = []
    for mirror in mirrors:
        try:
            paths = {
                name: _download_file(
                    f"{mirror.url}{name}{mirror.query}", known_hash, folder / name, patience, show_progress
                )
                for name, known_hash in mirror.files.items()
            }
        except _DownloadError as error:
            address, reason = without_credentials(mirror.url), str(error)
            failures.append((address, reason))
            _LOG.info("%s: %s", address, reason)
            if show_progress:
                print(f"{address}: unavailable ({reason})", file=sys.stderr)  # noqa: T201
        else:
            address = without_credentials(mirror.url)
            if show_progress:
                print(f"{address}: downloaded", file=sys.stderr)  # noqa: T201
            return Delivery(paths, address)
    raise MirrorsExhaustedError(failures)


def without_credentials(url: str) -> str:
    """Return the address without user name, password, query and fragment, safe to print and store."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def file_hash(path: Path, like: str | None) -> str:
    """Return a file's hash in the form of `Mirror.files`, by the algorithm of the hash `like`.

    Raises:
        DataError: The file cannot be read.
    """
    algorithm = "md5" if like is not None and like.startswith("md5:") else "sha256"
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, algorithm).hexdigest()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}.") from error
    return f"md5:{digest}" if algorithm == "md5" else digest


def _download_file(
    url: str, known_hash: str | None, path: Path, patience: Patience, show_progress: bool
) -> Path:
    for attempt in range(1, patience.attempts + 1):
        try:
            _try_download(url, known_hash, path, patience, show_progress)
        except _DownloadError as error:
            if error.temporary and attempt < patience.attempts:
                time.sleep(patience.backoff_seconds * 2 ** (attempt - 1))
                continue
            if error.unreachable:
                raise
            raise _DownloadError(f"{path.name}: {error}", temporary=False) from error
        else:
            return path
    raise AssertionError("Patience.attempts must be at least 1")


def _try_download(
    url: str, known_hash: str | None, path: Path, patience: Patience, show_progress: bool
) -> None:
    """Download in a thread, so that one limit covers name look-up, headers and body."""
    import pooch

    pooch.get_logger().setLevel(logging.WARNING)
    transfer = _Transfer(path.name, patience, with_bar=show_progress and sys.stderr.isatty())
    failures: list[Exception] = []

    def retrieve() -> None:
        try:
            pooch.retrieve(url, known_hash=known_hash, fname=path.name, path=path.parent, downloader=transfer)
        except Exception as error:  # raised in the thread that waits
            failures.append(error)

    thread = threading.Thread(target=retrieve, name=f"download {path.name}", daemon=True)
    try:
        thread.start()
        _await(thread, transfer, patience)
    finally:
        transfer.cancel()
    if failures:
        raise _explain(failures[0], patience) from failures[0]


def _await(thread: threading.Thread, transfer: "_Transfer", patience: Patience) -> None:
    start, received = time.monotonic(), 0
    while thread.is_alive():
        thread.join(_POLL_SECONDS)
        elapsed = time.monotonic() - start
        if elapsed < patience.slow_seconds:
            continue
        if transfer.received - received < patience.slow_bytes_per_second * elapsed and thread.is_alive():
            raise _DownloadError(
                f"slower than {patience.slow_bytes_per_second:,.0f} bytes per second "
                f"for {patience.slow_seconds:g} s",
                temporary=False,
            )
        start, received = time.monotonic(), transfer.received


class _TooLargeError(Exception):
    """The file exceeds `Patience.maximum_bytes`."""


class _Transfer:
    """A downloader for pooch.

    Unlike pooch's own it counts the bytes received, can be cancelled, and leaves a .gz file compressed when
    the server declares gzip as the content's encoding.
    """

    def __init__(self, label: str, patience: Patience, *, with_bar: bool) -> None:
        self.received = 0
        self._patience = patience
        self._cancelled = False
        self._label = label
        self._with_bar = with_bar
        self._bar: Any = None

    def __call__(self, url: str, output_file: str, pooch: object) -> None:  # noqa: ARG002 (pooch's signature)
        import requests

        limits = (self._patience.connect_seconds, self._patience.read_seconds)
        with (
            requests.get(
                url, stream=True, timeout=limits, headers={"Accept-Encoding": "identity"}
            ) as response,
            Path(output_file).open("wb") as file,
        ):
            response.raise_for_status()
            if self._with_bar:
                self._draw(response.headers.get("Content-Length", ""))
            for chunk in response.raw.stream(_CHUNK_BYTES, decode_content=False):
                self._count(len(chunk))
                file.write(chunk)

    def _draw(self, length: str) -> None:
        from tqdm import tqdm

        self._bar = tqdm(
            desc=self._label,
            total=int(length) if length.isdecimal() else None,
            unit="B",
            unit_scale=True,
            dynamic_ncols=True,
            leave=False,  # the line with the mirror's outcome replaces it
            file=sys.stderr,
        )

    def _count(self, byte_count: int) -> None:
        if self._cancelled:
            raise ConnectionAbortedError("the download was cancelled")
        self.received += byte_count
        if self.received > self._patience.maximum_bytes:
            raise _TooLargeError
        if self._bar is not None:
            self._bar.update(byte_count)

    def cancel(self) -> None:
        """Cancel what is still to come, at its next bytes."""
        self._cancelled = True
        if self._bar is not None:
            self._bar.close()


def _explain(error: Exception, patience: Patience) -> Exception:
    """Return a download error with a short reason in place of pooch's, or the error itself if unexpected."""
    from requests import exceptions as requests
    from urllib3 import exceptions as urllib3

    match error:
        case _TooLargeError():
            return _DownloadError(f"more than {patience.maximum_bytes:,} bytes received", temporary=False)
        case requests.ConnectTimeout():
            reason = f"no connection within {patience.connect_seconds:g} s"
            return _DownloadError(reason, temporary=False, unreachable=True)
        case requests.ReadTimeout() | urllib3.ReadTimeoutError():
            return _DownloadError(f"no data for {patience.read_seconds:g} s", temporary=False)
        case requests.TooManyRedirects():
            return _DownloadError("too many redirects", temporary=False)
        case requests.HTTPError() if error.response is not None:
            status = error.response.status_code
            reason = f"HTTP {status} {error.response.reason}".strip()
            return _DownloadError(reason, temporary=status in _TEMPORARY_STATUSES)
        case requests.ProxyError():
            reason = f"the proxy failed: {_in_words(_root(error))}"
            return _DownloadError(reason, temporary=True, unreachable=True)
        case requests.SSLError():
            reason = f"no trusted TLS connection: {_in_words(_root(error))}"
            return _DownloadError(reason, temporary=False, unreachable=True)
        case requests.ConnectionError():
            root = _root(error)
            return _DownloadError(_in_words(root), temporary=True, unreachable=isinstance(root, OSError))
        case urllib3.ProtocolError():
            return _DownloadError(f"connection broken: {_in_words(_root(error))}", temporary=True)
        case ValueError() if not isinstance(error, requests.RequestException):  # pooch: the digest differs
            return _DownloadError("wrong content: its hash differs from the published one", temporary=False)
        case OSError() if not isinstance(error, requests.RequestException):
            return DataError(
                f"The download could not be written: {error.strerror or error}. "
                "Free space, fix the permissions, or use another cache with --cache-dir."
            )
        case requests.RequestException() | urllib3.HTTPError() | http.client.HTTPException():
            return _DownloadError(f"{type(error).__name__}: {error}", temporary=False)
        case _:
            return error


def _root(error: BaseException) -> BaseException:
    """Return the innermost reason of a connection error, which urllib3 wraps several layers deep."""
    seen = {id(error)}
    while True:
        inner = next(
            (
                candidate
                for candidate in (
                    getattr(error, "reason", None),
                    error.__cause__,
                    error.__context__,
                    *error.args,
                )
                if isinstance(candidate, BaseException) and id(candidate) not in seen
            ),
            None,
        )
        if inner is None:
            return error
        seen.add(id(inner))
        error = inner


def _in_words(error: BaseException) -> str:
    return (getattr(error, "strerror", None) or str(error)).lower()
