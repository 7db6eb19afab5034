"""MNIST: every route gives the same proven arrays, or says what was tried and what to do."""

import gzip
import hashlib
import io
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.files import idx_bytes, write
from support.mirror_server import MirrorServer, closed_address

from mnistbench.datasets import cache_folder, open_arrays, resolve
from mnistbench.datasets.arrays import ARRAY_NAMES
from mnistbench.datasets.download import Mirror, Patience
from mnistbench.datasets.fetch import fetch
from mnistbench.datasets.named import MNIST, NAMED
from mnistbench.errors import DataError, UsageError

IMPATIENT = Patience(connect_seconds=1, read_seconds=1, attempts=1, slow_seconds=2)


@pytest.fixture(scope="module")
def mnist():
    """The real arrays, from the user's cache."""
    if not (cache_folder() / "mnist" / "x_train.npy").exists():
        pytest.skip("MNIST is not in the cache: run `mnistbench fetch`")
    return open_arrays(resolve("mnist", cache=cache_folder(), offline=True).arrays_folder)


@pytest.fixture(scope="module")
def idx_files(mnist):
    """The four official files, compressed anew (and fast)."""
    parts = zip(MNIST.mirrors[0].files, (getattr(mnist, name) for name in ARRAY_NAMES), strict=True)
    return {name: gzip.compress(idx_bytes(array), compresslevel=1, mtime=0) for name, array in parts}


@pytest.fixture(scope="module")
def npz_file(mnist):
    file = io.BytesIO()
    np.savez(file, **{name: getattr(mnist, name).astype(np.uint8) for name in ARRAY_NAMES})
    return {"mnist.npz": file.getvalue()}


def fetch_mnist(*, mirrors=MNIST.mirrors, source=None, **more):
    """Fetch MNIST from these mirrors, or from one place, without the writers of its images."""
    sources = () if source is None else [source]
    return fetch(replace(MNIST, mirrors=mirrors, writers=None), sources=sources, **more)


def sums(files):
    return {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}


@contextmanager
def served(files, *behaviours):
    """Yield a server of the files, and the mirrors on it that behave so and publish the files' sums."""
    with MirrorServer(files).running() as server:
        yield server, tuple(Mirror(f"{server.url}{behaviour}/", sums(files)) for behaviour in behaviours)


def is_mnist(info, source):
    """Whether the info and the arrays it names are MNIST's."""
    arrays = open_arrays(info.arrays_folder)
    assert hashlib.sha256(idx_bytes(arrays.x_train)).hexdigest().startswith("ba891046e6505d7a")
    assert hashlib.sha256(idx_bytes(arrays.y_test)).hexdigest().startswith("ff7bcfd416de3373")
    assert arrays.sha256() == info.sha256
    assert (info.name, info.source, info.train_count, info.test_count) == ("mnist", source, 60_000, 10_000)
    return True


def test_the_mirrors_are_the_published_ones_in_order():
    assert [mirror.url for mirror in MNIST.mirrors] == [
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
        "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
    ]
    assert MNIST.mirrors[0].files == MNIST.mirrors[1].files
    assert MNIST.mirrors[0].files["train-images-idx3-ubyte.gz"].startswith("440fcabf73cc546fa21475e81ea37026")
    assert MNIST.mirrors[2].files == {
        "mnist.npz": "731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1"
    }


def test_mnist_comes_from_a_mirror_and_then_from_the_cache(tmp_path, idx_files):
    with served(idx_files, "html", "good") as (server, mirrors):
        info = fetch_mnist(cache=tmp_path, mirrors=mirrors, patience=IMPATIENT)
        assert is_mnist(info, f"{server.url}good/")
        server.requests.clear()
        assert fetch_mnist(cache=tmp_path, mirrors=mirrors) == info
        assert resolve(None, cache=tmp_path, named=NAMED | {"mnist": replace(MNIST, mirrors=mirrors)}) == info
        assert server.requests == []
    assert fetch_mnist(cache=tmp_path, offline=True) == info
    kept = {path.name for path in (tmp_path / "mnist").iterdir()}
    assert kept == {"source.txt", *(f"{name}.npy" for name in ARRAY_NAMES)}


def test_the_npz_route_gives_the_same_arrays(tmp_path, npz_file):
    with served(npz_file, "good") as (_, mirrors):
        info = fetch_mnist(cache=tmp_path, mirrors=mirrors, patience=IMPATIENT)
    assert is_mnist(info, info.source)


def test_a_damaged_cache_is_detected_reported_and_repaired(tmp_path, idx_files, caplog):
    folder = write_idx_files(tmp_path / "files", idx_files)
    cache = tmp_path / "cache"
    info = fetch_mnist(cache=cache, source=str(folder))
    images = np.load(cache / "mnist" / "x_train.npy", mmap_mode="r+")
    images[38_000, 14, 14] ^= 1
    images.flush()
    with pytest.raises(DataError, match="There is no intact MNIST in the cache"):
        fetch_mnist(cache=cache, offline=True)
    assert "damaged" in caplog.text
    assert is_mnist(fetch_mnist(cache=cache, source=str(folder)), info.source)


def write_idx_files(folder, files):
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


@pytest.mark.parametrize("kind", ["gz", "plain", "npz", "npz file", "offline"])
def test_mnist_comes_from_a_local_folder_or_file(tmp_path, idx_files, npz_file, kind):
    source, description = tmp_path / "my copy", "folder my copy"
    if kind in ("npz", "npz file"):
        write_idx_files(source, npz_file)
        if kind == "npz file":
            source, description = source / "mnist.npz", "file mnist.npz"
    else:
        write_idx_files(source, idx_files)
        if kind == "plain":
            for path in list(source.iterdir()):
                path.with_suffix("").write_bytes(gzip.decompress(path.read_bytes()))
                path.unlink()
    info = fetch_mnist(cache=tmp_path / "cache", source=str(source), offline=kind == "offline")
    assert is_mnist(info, description)


def test_naming_a_folder_that_holds_mnist_is_naming_mnist(tmp_path, idx_files):
    folder = write_idx_files(tmp_path / "some name", idx_files)
    info = resolve(str(folder), cache=tmp_path / "cache")
    assert is_mnist(info, "folder some name")
    assert resolve("mnist", cache=tmp_path / "cache", offline=True) == info


def test_right_sums_around_other_images_are_not_believed(tmp_path, idx_files, mnist):
    """One flipped bit in 47 million, in a mirror whose file sums agree with it."""
    images = np.array(mnist.x_train)
    images[33_333, 14, 14] ^= 1
    files = idx_files | {"train-images-idx3-ubyte.gz": gzip.compress(idx_bytes(images), compresslevel=1)}
    with (
        served(files, "good") as (_, mirrors),
        pytest.raises(DataError, match=r"x_train is not MNIST's: the SHA-256"),
    ):
        fetch_mnist(cache=tmp_path, mirrors=mirrors)
    assert not (tmp_path / "mnist" / "x_train.npy").exists()


FETCH = """
import sys
from dataclasses import replace
from pathlib import Path
from mnistbench.datasets.download import Mirror
from mnistbench.datasets.fetch import fetch
from mnistbench.datasets.named import MNIST
cache, url, *sums = sys.argv[1:]
mirror = Mirror(url, dict(pair.split("=") for pair in sums))
print(fetch(replace(MNIST, mirrors=(mirror,), writers=None), cache=Path(cache)).sha256)
"""


def test_processes_that_fetch_at_once_do_not_disturb_each_other(tmp_path, idx_files):
    with served(idx_files, "good") as (_, [mirror]):
        arguments = [f"{name}={sha256}" for name, sha256 in mirror.files.items()]
        command = [sys.executable, "-c", FETCH, str(tmp_path), mirror.url, *arguments]
        fetchers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
        answers = {fetcher.communicate()[0].strip() for fetcher in fetchers}
        assert [fetcher.returncode for fetcher in fetchers] == [0, 0, 0]
    assert answers == {fetch_mnist(cache=tmp_path, offline=True).sha256}
    assert not list((tmp_path / "mnist").glob(".staging-*"))


def test_the_cache_may_be_on_another_disk(tmp_path, idx_files):
    memory = Path("/dev/shm")
    if not memory.is_dir() or memory.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("needs a second file system")
    folder = write_idx_files(tmp_path / "files", idx_files)
    cache = Path(tempfile.mkdtemp(prefix="mnistbench-", dir=memory))
    try:
        (tmp_path / "linked").symlink_to(cache)
        assert is_mnist(fetch_mnist(cache=tmp_path / "linked", source=str(folder)), "folder files")
    finally:
        shutil.rmtree(cache)


def test_other_data_are_not_passed_off_as_mnist(tmp_path):
    folder = write(tmp_path / "mine")
    with pytest.raises(DataError, match=r"x_train is not MNIST's.*use --dataset"):
        fetch_mnist(cache=tmp_path / "cache", source=str(folder))
    assert not (tmp_path / "cache").exists()


def test_the_error_lists_what_was_tried_and_what_to_do(tmp_path):
    refusing = closed_address()
    with MirrorServer({"mnist.npz": b"x"}).running() as server:
        mirrors = (
            Mirror(refusing, MNIST.mirrors[0].files),
            Mirror(f"{server.url}good/", MNIST.mirrors[0].files),
            Mirror(f"{server.url}html/", MNIST.mirrors[2].files),
        )
        with pytest.raises(DataError) as caught:
            fetch_mnist(cache=tmp_path, mirrors=mirrors, patience=IMPATIENT)
    assert str(caught.value).splitlines()[1:5] == [
        "Tried, in this order:",
        f"  {refusing}: connection refused",
        f"  {server.url}good/: train-images-idx3-ubyte.gz: HTTP 404 Not Found",
        f"  {server.url}html/: mnist.npz: wrong content: its hash differs from the published one",
    ]
    for advice in ("HTTPS_PROXY", "mnistbench fetch --from FOLDER", "--dataset digits"):
        assert advice in str(caught.value)
    assert list((tmp_path / "mnist").iterdir()) == []


@pytest.mark.parametrize("suffix", ["", "/", "/mnist.npz"])
def test_a_sites_own_mirror_is_asked_for_the_official_files_alone(tmp_path, suffix):
    """With and without a slash, or straight for the .npz file; the official sums hold for it too."""
    files = dict.fromkeys((*MNIST.mirrors[0].files, "mnist.npz"), b"not MNIST")
    with MirrorServer(files).running() as server, pytest.raises(DataError, match="wrong content"):
        fetch_mnist(cache=tmp_path, source=f"{server.url}good{suffix}", patience=IMPATIENT)
    if suffix.endswith(".npz"):
        assert server.requests == [f"/good{suffix}"]
    else:
        assert server.requests == ["/good/train-images-idx3-ubyte.gz", "/good/mnist.npz"]


def test_offline_no_mirror_is_asked(tmp_path):
    with MirrorServer({}).running() as server:
        with pytest.raises(UsageError, match="--offline forbids fetching from"):
            fetch_mnist(cache=tmp_path, source=server.url, offline=True)
        mirrors = (Mirror(server.url, MNIST.mirrors[0].files),)
        with pytest.raises(DataError, match="--offline forbids"):
            fetch_mnist(cache=tmp_path, offline=True, mirrors=mirrors)
        assert server.requests == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("source", "error", "text"),
    [
        ("ftp://mirror.example/mnist/", UsageError, "http:// or https://"),
        ("file:///data/mnist", UsageError, "http:// or https://"),
        ("missing/folder", DataError, "there is no such folder or file"),
    ],
)
def test_other_kinds_of_address_and_missing_folders_are_refused(tmp_path, source, error, text):
    with pytest.raises(error, match=text):
        fetch_mnist(cache=tmp_path, source=source)


def test_an_unwritable_cache_is_refused_before_anything_is_downloaded(tmp_path):
    (tmp_path / "file").touch()
    with MirrorServer({}).running() as server:
        mirrors = (Mirror(server.url, MNIST.mirrors[0].files),)
        with pytest.raises(DataError, match="cannot be written"):
            fetch_mnist(cache=tmp_path / "file", mirrors=mirrors)
        assert server.requests == []
