"""Resolve the name of a data set, or a path, to a data set in the cache."""

import difflib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from mnistbench.datasets.arrays import AS_IS, DatasetInfo, Reading
from mnistbench.datasets.digits import cached_digits
from mnistbench.datasets.download import Mirror, Patience
from mnistbench.datasets.folder import cached_user_data, describe_path, read_user_data
from mnistbench.datasets.mnist import MIRRORS, cached_mnist, fetch_mnist, is_mnist
from mnistbench.errors import DataError, UsageError
from mnistbench.text import command

_NAMES = frozenset({"mnist", "digits"})


def resolve(
    spec: str | None,
    *,
    cache: Path,
    reading: Reading = AS_IS,
    offline: bool = False,
    show_progress: bool = False,
    mirrors: Sequence[Mirror] = MIRRORS,
    patience: Patience | None = None,
) -> DatasetInfo:
    """Make a data set ready for use: fetched or read, checked, and its arrays in the cache.

    Args:
        spec: "mnist", "digits", a folder of IDX files or a .npz file. The two names win over a folder of the
            same name, which can be given as ./mnist. None: MNIST, or `digits` with `fallback_reason` if MNIST
            is unavailable.
        cache: The cache folder.
        reading: How to read the user's own data.
        offline: Use no network.
        show_progress: Print the outcome of each mirror, and draw progress bars if standard error is a
            terminal.
        mirrors: MNIST's mirrors, in the order to try them.
        patience: How long to wait for a mirror.

    Raises:
        DataError: The data set is unavailable, damaged or unusable.
        UsageError: There is no data set of that name, or it accepts no `reading`.
    """
    if spec in (None, *_NAMES) and reading != AS_IS:
        raise UsageError(f"--pixel-max and --unseen apply only to your own data, not to {spec or 'mnist'}.")
    if spec is None:
        try:
            return fetch_mnist(
                cache=cache, offline=offline, show_progress=show_progress, mirrors=mirrors, patience=patience
            )
        except DataError as error:
            return replace(cached_digits(cache), fallback_reason=str(error).splitlines()[0].rstrip("."))
    if spec == "mnist":
        return fetch_mnist(
            cache=cache, offline=offline, show_progress=show_progress, mirrors=mirrors, patience=patience
        )
    if spec == "digits":
        return cached_digits(cache)
    if "://" in spec:
        raise UsageError(
            f"--dataset accepts no address; for a mirror of MNIST use `{command('fetch', '--from', spec)}`."
        )
    path = Path(spec).expanduser()
    if path.exists():
        arrays = read_user_data(path, reading)
        if is_mnist(arrays):
            return replace(cached_mnist(arrays, cache, source=describe_path(path)), reading=reading)
        return cached_user_data(arrays, path, cache, reserved_names=_NAMES, reading=reading)
    if path.name != spec or path.suffix == ".npz":
        raise DataError(f"{spec}: there is no such folder or file.")
    near = difflib.get_close_matches(spec.casefold(), sorted(_NAMES), n=1)
    suggestion = f" Did you mean {near[0]}?" if near else ""
    raise UsageError(
        f"There is no data set or folder {spec!r}.{suggestion} Use mnist, digits, a FOLDER or a FILE.npz."
    )
