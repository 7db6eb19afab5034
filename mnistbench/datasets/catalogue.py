"""Resolve the name of a data set, or a path, to a data set in the cache."""

import difflib
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

from mnistbench.datasets.arrays import AS_IS, DatasetInfo, Reading
from mnistbench.datasets.download import Patience
from mnistbench.datasets.fetch import describe, fetch, find, keep
from mnistbench.datasets.folder import cached_user_data, describe_path, read_user_data
from mnistbench.datasets.named import NAMED, Named
from mnistbench.datasets.transfer import ARROW, refuse_unknown_writers, transfer
from mnistbench.errors import DataError, UsageError
from mnistbench.text import command


def resolve(
    spec: str | None,
    *,
    cache: Path,
    reading: Reading = AS_IS,
    offline: bool = False,
    show_progress: bool = False,
    named: Mapping[str, Named] = NAMED,
    patience: Patience | None = None,
) -> DatasetInfo:
    """Make a data set ready for use: fetched or read, checked, and its arrays in the cache.

    `spec` is the name of a data set, a folder of IDX files or a .npz file; or two of these with an arrow
    between them, as "mnist->qmnist-lost", to train on the one and to test on the other. A name wins over a
    folder of the same name, which can be given as ./mnist. None is MNIST, or `digits` with `fallback_reason`
    if MNIST is unavailable. The other arguments are as in `fetch.fetch`.

    Raises:
        DataError: The data set is unavailable, damaged or unusable.
        UsageError: There is no data set of that name, or it accepts no `reading`.
    """
    if spec is not None and ARROW in spec:
        again = partial(
            resolve,
            cache=cache,
            reading=reading,
            offline=offline,
            show_progress=show_progress,
            named=named,
            patience=patience,
        )
        names = spec.split(ARROW, 1)
        if all(name in named for name in names):
            refuse_unknown_writers(named[names[0]], named[names[1]])
        train, test = map(again, names)
        return transfer(train, test, cache)
    if (spec is None or spec in named) and reading != AS_IS:
        raise UsageError(f"--pixel-max and --unseen apply only to your own data, not to {spec or 'mnist'}.")

    def ready(name: str) -> DatasetInfo:
        """Return it as the cache has it, so that a run never waits for the writers of a cached data set."""
        return find(named[name], cache) or fetch(
            named[name], cache=cache, offline=offline, show_progress=show_progress, patience=patience
        )

    if spec is None:
        try:
            return ready("mnist")
        except DataError as error:
            return replace(ready("digits"), fallback_reason=str(error).splitlines()[0].rstrip("."))
    if spec in named:
        return ready(spec)
    return _own(spec, cache, reading, named)


def _own(spec: str, cache: Path, reading: Reading, named: Mapping[str, Named]) -> DatasetInfo:
    """Read a user's folder or file into the cache; one that holds a named data set is that data set."""
    if "://" in spec:
        raise UsageError(
            f"--dataset takes no address; `{command('fetch', '--from', spec)}` fetches MNIST from a mirror."
        )
    path = Path(spec).expanduser()
    if path.exists():
        arrays = read_user_data(path, reading)
        sha256 = arrays.sha256()
        for known in named.values():
            if known.arrays_sha256 == sha256 and arrays.groups is None:
                folder = cache / known.name
                found = find(known, cache) or describe(
                    known, keep(known, arrays, folder, describe_path(path)), folder
                )
                return replace(found, reading=reading)
        return cached_user_data(arrays, path, cache, reserved_names=frozenset(named), reading=reading)
    if path.name != spec or path.suffix == ".npz":
        raise DataError(f"{spec}: there is no such folder or file.")
    near = difflib.get_close_matches(spec.casefold(), sorted(named), n=1)
    suggestion = f" Did you mean {near[0]}?" if near else ""
    raise UsageError(
        f"There is no data set or folder {spec!r}.{suggestion} Use a FOLDER, a FILE.npz, or a name that "
        f"`{command('list', '--datasets')}` shows."
    )
