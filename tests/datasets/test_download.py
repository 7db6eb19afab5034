"""Downloads from a real server that misbehaves: a file comes whole and right, or the next mirror is tried."""

import gzip
import hashlib
import io
import logging
import threading
import time

import pytest
from support.mirror_server import MirrorServer, closed_address

from mnistbench.datasets.download import (
    Mirror,
    MirrorsExhaustedError,
    Patience,
    download,
    without_credentials,
)
from mnistbench.errors import DataError

CONTENTS = {"images.gz": gzip.compress(bytes(range(256)) * 200), "labels.gz": gzip.compress(b"labels" * 50)}
SHA256 = {name: hashlib.sha256(content).hexdigest() for name, content in CONTENTS.items()}
IMPATIENT = Patience(connect_seconds=1, read_seconds=1, backoff_seconds=0.01, slow_seconds=0.4)


@pytest.fixture
def server():
    with MirrorServer(CONTENTS).running() as server:
        yield server


def mirror(server, behaviour):
    return Mirror(f"{server.url}{behaviour}/", SHA256)


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_good_mirror_delivers_every_file(server, tmp_path):
    delivery = download([mirror(server, "good")], tmp_path, patience=IMPATIENT)
    assert {name: path.read_bytes() for name, path in delivery.paths.items()} == CONTENTS
    assert delivery.source == f"{server.url}good/"


MISBEHAVIOURS = {
    "html": ("wrong content", 1),
    "wrong": ("wrong content", 1),
    "short": ("wrong content", 1),
    "missing": ("HTTP 404 Not Found", 1),
    "unavailable": ("HTTP 503 Service Unavailable", 3),
    "cut": ("connection broken", 3),
    "circle": ("too many redirects", None),
    "silent": ("slower than", 1),
    "drip": ("slower than", 1),
    "dripchunks": ("slower than", 1),
    "dripheaders": ("slower than", 1),
    "garbage": ("images.gz", 3),
}


@pytest.mark.parametrize("behaviour", MISBEHAVIOURS)
def test_a_misbehaving_mirror_is_given_up_and_nothing_of_it_is_kept(server, tmp_path, behaviour):
    reason, requests = MISBEHAVIOURS[behaviour]
    start = time.monotonic()
    with pytest.raises(MirrorsExhaustedError) as caught:
        download([mirror(server, behaviour)], tmp_path, patience=IMPATIENT)
    assert time.monotonic() - start < 5
    [(address, failure)] = caught.value.failures
    assert address == f"{server.url}{behaviour}/"
    assert failure.startswith("images.gz: ")
    assert reason in failure
    assert "images.gz" not in contents(tmp_path)
    if requests is not None:
        assert len(server.requests) == requests


@pytest.mark.parametrize("behaviour", MISBEHAVIOURS)
def test_the_next_mirror_delivers_instead(server, tmp_path, behaviour):
    delivery = download([mirror(server, behaviour), mirror(server, "good")], tmp_path, patience=IMPATIENT)
    assert delivery.source == f"{server.url}good/"
    assert {name: path.read_bytes() for name, path in delivery.paths.items()} == CONTENTS


def test_an_endless_file_is_refused(server, tmp_path):
    patience = Patience(maximum_bytes=1 << 20)
    with pytest.raises(MirrorsExhaustedError, match="more than 1,048,576 bytes received"):
        download([mirror(server, "endless")], tmp_path, patience=patience)
    assert contents(tmp_path) == {}


@pytest.mark.parametrize("behaviour", ["recovering", "moved", "encoded"])
def test_mirrors_with_minor_faults_still_deliver(server, tmp_path, behaviour):
    """After two failures, by a redirection, or from a server that declares .gz as the content's encoding."""
    delivery = download([mirror(server, behaviour)], tmp_path, patience=IMPATIENT)
    assert {name: path.read_bytes() for name, path in delivery.paths.items()} == CONTENTS


def test_each_further_try_waits_longer(server, tmp_path):
    patience = Patience(backoff_seconds=0.2)
    start = time.monotonic()
    with pytest.raises(MirrorsExhaustedError):
        download([mirror(server, "unavailable")], tmp_path, patience=patience)
    assert time.monotonic() - start >= 0.2 + 0.4


def test_mirrors_are_tried_in_order_and_each_failure_is_reported(server, tmp_path, caplog):
    refusing = Mirror(closed_address(), SHA256)
    unknown = Mirror("http://mirror.invalid/", SHA256)
    caplog.set_level(logging.INFO, logger="mnistbench")
    with pytest.raises(MirrorsExhaustedError) as caught:
        download([refusing, unknown, mirror(server, "html")], tmp_path, patience=IMPATIENT)
    addresses, reasons = zip(*caught.value.failures, strict=True)
    assert addresses == (refusing.url, unknown.url, f"{server.url}html/")
    assert "connection refused" in reasons[0]
    assert "wrong content" in reasons[2]
    assert len(caplog.records) == 3


def test_files_that_an_earlier_mirror_delivered_are_kept(server, tmp_path):
    """Only what is missing is asked of the next mirror."""
    server.files = {"images.gz": CONTENTS["images.gz"]}
    with pytest.raises(MirrorsExhaustedError):
        download([mirror(server, "good")], tmp_path, patience=IMPATIENT)
    server.files = CONTENTS
    server.requests.clear()
    download([mirror(server, "good")], tmp_path, patience=IMPATIENT)
    assert server.requests == ["/good/labels.gz"]


def test_a_proxy_from_the_environment_is_used(server, tmp_path, monkeypatch):
    monkeypatch.setenv("http_proxy", server.url)
    download([Mirror("http://mirror.invalid/good/", SHA256)], tmp_path, patience=IMPATIENT)
    assert server.requests[0] == "http://mirror.invalid/good/images.gz"


def test_an_error_names_a_dead_proxy_as_the_cause(tmp_path, monkeypatch):
    monkeypatch.setenv("http_proxy", closed_address())
    with pytest.raises(MirrorsExhaustedError, match="the proxy failed: connection refused"):
        download([Mirror("http://mirror.invalid/good/", SHA256)], tmp_path, patience=IMPATIENT)


def test_a_folder_that_cannot_be_written_is_not_the_mirrors_fault(server, tmp_path):
    tmp_path.joinpath("file").touch()
    with pytest.raises(DataError, match="could not be written"):
        download([mirror(server, "good")], tmp_path / "file", patience=IMPATIENT)


def test_a_download_that_was_given_up_ends_soon(server, tmp_path):
    """Its thread must not go on filling the disk."""
    with pytest.raises(MirrorsExhaustedError):
        download([mirror(server, "dripchunks")], tmp_path, patience=IMPATIENT)
    deadline = time.monotonic() + 5
    while any(thread.name.startswith("download ") for thread in threading.enumerate()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert contents(tmp_path) == {}


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://user:secret@mirror.example:8443/mnist/", "https://mirror.example:8443/mnist/"),
        ("https://mirror.example/mnist/?token=secret#x", "https://mirror.example/mnist/"),
        ("http://mirror.example/", "http://mirror.example/"),
    ],
)
def test_credentials_are_not_displayed(url, shown):
    assert without_credentials(url) == shown


def test_failures_do_not_show_credentials(tmp_path):
    secret = Mirror(closed_address("user:secret@"), SHA256)
    with pytest.raises(MirrorsExhaustedError) as caught:
        download([secret], tmp_path, patience=IMPATIENT)
    assert "secret" not in str(caught.value)


class Terminal(io.StringIO):
    """Standard error as a terminal that keeps what is drawn on it."""

    encoding = "utf-8"

    def isatty(self):
        return True


@pytest.mark.parametrize("wanted", [True, False])
def test_progress_bars_are_drawn_where_they_are_wanted(server, tmp_path, monkeypatch, wanted):
    monkeypatch.setattr("sys.stderr", terminal := Terminal())
    download([mirror(server, "good")], tmp_path, patience=IMPATIENT, show_progress=wanted)
    assert ("images.gz: " in terminal.getvalue()) == wanted
    assert bool(terminal.getvalue()) == wanted


def test_one_line_a_mirror_with_its_outcome_is_left_and_no_bar_of_what_never_came(
    server, tmp_path, monkeypatch
):
    monkeypatch.setattr("sys.stderr", terminal := Terminal())
    refusing = Mirror(closed_address("secret@"), SHA256)
    mirrors = [refusing, mirror(server, "missing"), mirror(server, "good")]
    download(mirrors, tmp_path, patience=IMPATIENT, show_progress=True)
    *left, after = (line.rpartition("\r")[2] for line in terminal.getvalue().split("\n"))
    assert after == ""
    assert left == [
        f"{refusing.url.replace('secret@', '')}: unavailable (connection refused)",
        f"{server.url}missing/: unavailable (images.gz: HTTP 404 Not Found)",
        f"{server.url}good/: downloaded",
    ]
    assert "0.00B" not in terminal.getvalue().partition("404")[0]


def test_no_progress_bar_is_drawn_where_standard_error_is_no_terminal(server, tmp_path, capfd):
    download([mirror(server, "good")], tmp_path, patience=IMPATIENT, show_progress=True)
    assert capfd.readouterr() == ("", f"{server.url}good/: downloaded\n")
