"""MNIST (LeCun, Cortes and Burges, 1998): its mirrors and its checksums."""

import logging
from collections.abc import Sequence
from pathlib import Path

from mnistbench.datasets import cache as array_cache
from mnistbench.datasets.arrays import Arrays, DatasetInfo
from mnistbench.datasets.download import (
    Mirror,
    MirrorsExhaustedError,
    Patience,
    download,
    without_credentials,
)
from mnistbench.datasets.folder import describe_path, read_user_data
from mnistbench.datasets.idx import idx_sha256
from mnistbench.errors import DataError, UsageError
from mnistbench.text import command

_LOG = logging.getLogger(__name__)

_IDX_FILES = {
    "train-images-idx3-ubyte.gz": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    "train-labels-idx1-ubyte.gz": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    "t10k-images-idx3-ubyte.gz": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    "t10k-labels-idx1-ubyte.gz": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
}
_NPZ_FILES = {"mnist.npz": "731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1"}

MIRRORS = (
    Mirror("https://ossci-datasets.s3.amazonaws.com/mnist/", _IDX_FILES),
    Mirror("https://storage.googleapis.com/cvdf-datasets/mnist/", _IDX_FILES),
    Mirror("https://storage.googleapis.com/tensorflow/tf-keras-datasets/", _NPZ_FILES),
)

# The unpacked official files; arrays from any source must match them.
_DECODED_SHA256 = {
    "x_train": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "y_train": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "x_test": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "y_test": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}

# `Arrays.sha256` of the same arrays, to check the cache quickly.
_ARRAYS_SHA256 = "7cd417484108fcd3fb4afd803abb813ab5227eb017ffede532fdbb151fff1d2d"


def fetch_mnist(
    *,
    cache: Path,
    source: str | None = None,
    offline: bool = False,
    show_progress: bool = False,
    mirrors: Sequence[Mirror] = MIRRORS,
    patience: Patience | None = None,
) -> DatasetInfo:
    """Put MNIST into the cache, unless it is already there intact, and describe it.

    Args:
        cache: The cache folder.
        source: A folder with the four IDX files (plain or gzip) or mnist.npz, such a .npz file, or the
            address of a site's own mirror (of the four .gz files or mnist.npz); None for the public mirrors.
        offline: Use no network.
        show_progress: Print the outcome of each mirror, and draw progress bars if standard error is a
            terminal.
        mirrors: The public mirrors, in the order to try them.
        patience: How long to wait for a mirror.

    Raises:
        DataError: MNIST is unavailable, or the files are not MNIST. The text lists the mirrors that were
            tried, unless `show_progress` has printed them.
        UsageError: `source` is an address while `offline` is set, or not an HTTP address.
    """
    folder = cache / "mnist"
    cached = array_cache.verified_arrays(folder, _ARRAYS_SHA256)
    if cached is not None:
        return _describe(cached, folder)
    if source is not None and "://" not in source:
        path = Path(source).expanduser()
        return _describe(array_cache.store(_read(path), folder, describe_path(path)), folder)
    if source is not None:
        mirrors = _private_mirror(source)
    if offline:
        if source is not None:
            raise UsageError(
                f"--offline forbids fetching from {without_credentials(source)}; leave out one or the other."
            )
        raise DataError(
            f"There is no intact MNIST in the cache {folder}, and --offline forbids fetching it.\n"
            f"{_advice(cache)}"
        )
    with array_cache.staging_folder(folder) as staging:
        try:
            delivery = download(
                mirrors, staging, patience=patience or Patience(), show_progress=show_progress
            )
        except MirrorsExhaustedError as error:
            tried = [f"{address}: {reason}" for address, reason in error.failures]
            listing = "" if show_progress else "\n  ".join(["Tried, in this order:", *tried]) + "\n"
            reasons = "; ".join(dict.fromkeys(reason for _, reason in error.failures))
            raise DataError(
                f"MNIST is not in the cache, and no mirror delivered it: {reasons}.\n"
                f"{listing}{_advice(cache)}"
            ) from error
        return _describe(array_cache.store(_read(staging), folder, delivery.source), folder)


def mnist_advice(cache: Path) -> str:
    """Return advice on how to get MNIST into a cache without reaching a mirror."""
    fetch = command("fetch", "--from", "FOLDER", cache=None if cache == array_cache.cache_folder() else cache)
    return (
        "What to do: check the network, or set HTTPS_PROXY if there is a proxy; or download the four files "
        f"(or mnist.npz) on another machine and run `{fetch}`"
    )


def _advice(cache: Path) -> str:
    return f"{mnist_advice(cache)}; or use the built-in digits with `--dataset digits`."


def is_mnist(arrays: Arrays) -> bool:
    """Return whether these are the 70,000 official images, in the official order."""
    return arrays.sha256() == _ARRAYS_SHA256


def cached_mnist(arrays: Arrays, cache: Path, source: str) -> DatasetInfo:
    """Put MNIST's arrays into the cache, unless they are already there intact, and describe them.

    Raises:
        DataError: The cache cannot be written.
    """
    folder = cache / "mnist"
    cached = array_cache.verified_arrays(folder, _ARRAYS_SHA256)
    return _describe(cached or array_cache.store(arrays, folder, source), folder)


def _private_mirror(url: str) -> tuple[Mirror, ...]:
    if not url.startswith(("http://", "https://")):
        raise UsageError(
            f"{without_credentials(url)}: expected a folder, or an address with http:// or https://."
        )
    if url.endswith(".npz"):
        base, _, name = url.rpartition("/")
        return (Mirror(base + "/", {name: _NPZ_FILES["mnist.npz"]}),)
    base = url.rstrip("/") + "/"
    return (Mirror(base, _IDX_FILES), Mirror(base, _NPZ_FILES))


def _read(path: Path) -> Arrays:
    if path.is_dir() and (path / "mnist.npz").is_file():
        path = path / "mnist.npz"
    arrays = read_user_data(path)
    for name, expected in _DECODED_SHA256.items():
        found = idx_sha256(getattr(arrays, name))
        if found != expected:
            raise DataError(
                f"{path}: {name} is not MNIST's: the SHA-256 of its plain IDX file is {found}, "
                f"expected {expected}. Download the files again; to use your own data, use --dataset {path}."
            )
    return arrays


def _describe(arrays: Arrays, folder: Path) -> DatasetInfo:
    return DatasetInfo(
        name="mnist",
        title="MNIST",
        source=array_cache.source_of(folder),
        licence="CC BY-SA 3.0",
        sha256=_ARRAYS_SHA256,
        image_shape=(28, 28),
        classes=tuple(range(10)),
        train_count=len(arrays.x_train),
        test_count=len(arrays.x_test),
        arrays_folder=str(folder),
    )
