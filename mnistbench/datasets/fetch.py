"""Brings a named data set into the cache: from its public addresses, a site's own mirror, or a folder."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import numpy as np

from mnistbench.datasets import cache as array_cache
from mnistbench.datasets.arrays import Arrays, DatasetInfo
from mnistbench.datasets.decoders import with_writers
from mnistbench.datasets.download import (
    Mirror,
    MirrorsExhaustedError,
    Patience,
    download,
    file_hash,
    without_credentials,
)
from mnistbench.datasets.folder import describe_path
from mnistbench.datasets.holdout import OWN, choose_holdout, held_out_count
from mnistbench.datasets.idx import idx_sha256
from mnistbench.datasets.named import Named
from mnistbench.errors import DataError, UsageError
from mnistbench.text import command

_LOG = logging.getLogger(__name__)
_HASHES = "sha256.txt"  # in the cache: the hashes of what has no published one, as it was when first fetched
_ARRAYS, _GROUPS = "arrays", "groups"
_INSTEAD = "; or use the built-in digits with `--dataset digits`."


def fetch(
    named: Named,
    *,
    cache: Path,
    sources: Sequence[str] = (),
    offline: bool = False,
    show_progress: bool = False,
    patience: Patience | None = None,
) -> DatasetInfo:
    """Put a data set, and the writers of its images, into the cache unless they are there; describe it.

    The sources are folders that hold its files, such a file, or addresses of a site's own mirror of them; the
    files that name the writers may lie apart. Without any, the public mirrors are asked. With
    `show_progress`, the outcome of each mirror is printed, with bars if standard error is a terminal.

    Raises:
        DataError: The data set is unavailable, or the files are not those of the data set. The text lists the
            mirrors that were tried, unless `show_progress` has printed them.
        UsageError: A source is an address while `offline` is set, or not an HTTP address.
    """
    for place in sources:
        _refuse_address(place, offline=offline)
    patience = replace(patience or Patience(), maximum_bytes=named.largest_file_bytes)
    folder = cache / named.name
    arrays = _cached(named, folder)
    if arrays is None:
        source = next((source for source in sources if not _names_writers_only(named, source)), None)
        if source is not None and "://" not in source:
            arrays = _from_folder(named, Path(source).expanduser(), folder)
        elif not named.mirrors:
            arrays = keep(named, named.read(folder), folder, named.origin)
        elif offline:
            raise DataError(
                f"There is no intact {named.title} in the cache {folder}, and --offline forbids fetching "
                f"it.\n{advice(named, cache)}{_INSTEAD}"
            )
        else:
            mirrors = named.mirrors if source is None else _private_mirrors(named, source)
            arrays = _downloaded(named, mirrors, cache, patience, show_progress=show_progress)
    if named.writers is not None and arrays.groups is None:
        public = [] if offline else [named.writers]
        for writers in [_writers_at(named.writers, place) for place in sources] if sources else public:
            if writers is not None and arrays.groups is None:
                arrays = _add_writers(named, arrays, folder, writers, patience, show_progress=show_progress)
    return describe(named, arrays, folder)


def find(named: Named, cache: Path) -> DatasetInfo | None:
    """Describe a data set if the cache has it intact, with or without the writers of its images."""
    folder = cache / named.name
    arrays = _cached(named, folder)
    return None if arrays is None else describe(named, arrays, folder)


def keep(
    named: Named, arrays: Arrays, folder: Path, source: str, hashes: Mapping[str, str] = MappingProxyType({})
) -> Arrays:
    """Check the arrays of a data set and put them into its cache folder.

    `hashes` are the SHA-256 of files that have no published hash, by name, to be kept.

    Raises:
        DataError: They are not the data set's, or the cache cannot be written.
    """
    for name, expected in named.decoded.items():
        found = idx_sha256(getattr(arrays, name))
        if found != expected:
            raise DataError(
                f"{source}: {name} is not {named.title}'s: the SHA-256 of its plain IDX file is {found}, "
                f"expected {expected}. Download the files again; to use your own data, use --dataset."
            )
    size = len(arrays.x_train), len(arrays.x_test), *arrays.x_train.shape[1:], len(np.unique(arrays.y_train))
    expected_size = named.train_count, named.test_count, *named.image_shape, named.class_count
    if size != expected_size:
        raise DataError(
            f"{source}: is not {named.title}: its training images, test images, height, width and classes "
            f"are {size}, expected {expected_size}."
        )
    if named.arrays_sha256 not in (None, arrays.sha256()):
        raise DataError(
            f"{source}: the images or labels differ from the known {named.title}, so results would not be "
            "comparable. Fetch it from elsewhere, or install the locked versions of the libraries."
        )
    stored = array_cache.store(arrays, folder, source)
    if not named.arrays_sha256:
        known = {**hashes, _ARRAYS: stored.sha256()}
        if stored.groups is not None:
            known[_GROUPS] = str(stored.groups_sha256())
        lines = "".join(f"{sha256}  {name}\n" for name, sha256 in known.items())
        array_cache.write_note(folder / _HASHES, lines)
    return stored


def describe(named: Named, arrays: Arrays, folder: Path) -> DatasetInfo:
    """Return what is known of a data set whose arrays are in a folder of the cache."""
    holdout = f"{OWN}{named.validation_count}" if named.validation_count else choose_holdout(arrays)
    return DatasetInfo(
        name=named.name,
        title=named.title,
        source=array_cache.source_of(folder),
        licence=named.licence,
        sha256=named.arrays_sha256 or _kept_hashes(folder)[_ARRAYS],
        image_shape=named.image_shape,
        classes=tuple(np.unique(arrays.y_train).tolist()),
        train_count=len(arrays.x_train),
        test_count=len(arrays.x_test),
        arrays_folder=str(folder),
        holdout=holdout,
        holdout_count=held_out_count(arrays, holdout),
        groups_sha256=arrays.groups_sha256(),
        group_noun=named.group_noun,
        strata=named.strata if arrays.groups is not None else (),
        class_names=named.class_names,
        citation=named.citation,
        people=named.people,
    )


def advice(named: Named, cache: Path) -> str:
    """Return advice on how to get a data set into a cache without reaching a mirror."""
    name = () if named.name == "mnist" else (named.name,)
    elsewhere = None if cache == array_cache.cache_folder() else cache
    files = " or ".join(dict.fromkeys(", ".join(mirror.files) for mirror in named.mirrors))
    return (
        f"What to do: check the network, or set HTTPS_PROXY if there is a proxy; or download {files} "
        f"on another machine and run `{command('fetch', *name, '--from', 'FOLDER', cache=elsewhere)}`"
    )


def _refuse_address(source: str, *, offline: bool) -> None:
    if "://" not in source:
        return
    if not source.startswith(("http://", "https://")):
        raise UsageError(
            f"{without_credentials(source)}: expected a folder, or an address with http:// or https://."
        )
    if offline:
        raise UsageError(
            f"--offline forbids fetching from {without_credentials(source)}; leave out one or the other."
        )


def _cached(named: Named, folder: Path) -> Arrays | None:
    """Return the cached arrays if they are intact; damaged groups are left out, to be fetched again."""
    kept = _kept_hashes(folder)
    sha256 = named.arrays_sha256 or kept.get(_ARRAYS)
    arrays = None if sha256 is None else array_cache.verified_arrays(folder, sha256, kept.get(_GROUPS))
    if arrays is None or arrays.groups is None or named.groups_sha256 in (None, arrays.groups_sha256()):
        return arrays
    _LOG.warning("The cached groups in %s are damaged: their SHA-256 is not %s.", folder, named.groups_sha256)
    return replace(arrays, groups=None)


def _kept_hashes(folder: Path) -> dict[str, str]:
    try:
        lines = (folder / _HASHES).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return {}
    return {name: sha256 for sha256, _, name in (line.partition("  ") for line in lines)}


def _from_folder(named: Named, path: Path, folder: Path) -> Arrays:
    """Read a data set from a folder, or its only file; files without `decoded` hashes are checked first."""
    hashes: dict[str, str] = {}
    if not named.decoded:
        mirror = named.mirrors[0] if named.mirrors else Mirror("", {})
        holder = path.parent if path.is_file() else path
        for name, published in mirror.files.items():
            if not (holder / name).is_file():
                raise DataError(f"{path}: has no file {name}; {named.title} needs {', '.join(mirror.files)}.")
            found = _checked(holder / name, published)
            if published is None:
                hashes[name] = found
        return keep(named, named.read(holder), folder, describe_path(path), hashes)
    return keep(named, named.read(path), folder, describe_path(path))


def _checked(path: Path, published: str | None) -> str:
    """Return the file's hash; a DataError if the published one is another."""
    found = file_hash(path, published)
    if published not in (None, found):
        raise DataError(f"{path}: its hash is {found}, expected {published}. Download the file again.")
    return found


def _downloaded(
    named: Named, mirrors: Sequence[Mirror], cache: Path, patience: Patience, *, show_progress: bool
) -> Arrays:
    folder = cache / named.name
    known = _kept_hashes(folder)
    unpublished = [name for name, published in mirrors[0].files.items() if published is None]
    mirrors = [
        replace(mirror, files={name: sha256 or known.get(name) for name, sha256 in mirror.files.items()})
        for mirror in mirrors
    ]
    with array_cache.staging_folder(folder) as staging:
        place = cache / named.kept_in if named.kept_in else staging
        if named.kept_in:
            array_cache.move_files(mirrors[0].files, place, staging)  # an intact one is not downloaded again
        try:
            delivery = download(mirrors, staging, patience=patience, show_progress=show_progress)
        except MirrorsExhaustedError as error:
            tried = [f"{address}: {reason}" for address, reason in error.failures]
            listing = "" if show_progress else "\n  ".join(["Tried, in this order:", *tried]) + "\n"
            reasons = "; ".join(dict.fromkeys(reason for _, reason in error.failures))
            raise DataError(
                f"{named.title} is not in the cache, and no mirror delivered it: {reasons}.\n"
                f"{listing}{advice(named, cache)}{_INSTEAD}"
            ) from error
        hashes = {name: file_hash(delivery.paths[name], None) for name in unpublished}
        if named.kept_in:
            array_cache.move_files(mirrors[0].files, staging, place)
        return keep(named, named.read(place), folder, delivery.source, hashes)


def _private_mirrors(named: Named, url: str) -> list[Mirror]:
    """Return a site's own mirror of each set of files that the public mirrors have."""
    for mirror in named.mirrors:
        base, _, name = url.rpartition("/")
        if name in mirror.files:
            return [Mirror(f"{base}/", mirror.files)]
    base = url.rstrip("/") + "/"
    return [
        Mirror(base, dict(files)) for files in dict.fromkeys(tuple(m.files.items()) for m in named.mirrors)
    ]


def _names_writers_only(named: Named, source: str) -> bool:
    path = Path(source).expanduser()
    if "://" in source or named.writers is None or not all((path / n).is_file() for n in named.writers.files):
        return False
    return not any(path.glob("*-images*")) and not any(path.glob("*.npz"))


def _writers_at(writers: Mirror, source: str) -> Mirror | Path | None:
    """Return where a source may have the files that name the writers; None for a folder without them."""
    if "://" in source:
        return Mirror(source.rstrip("/") + "/", writers.files)
    path = Path(source).expanduser()
    return path if all((path / name).is_file() for name in writers.files) else None


def _add_writers(
    named: Named,
    arrays: Arrays,
    folder: Path,
    place: Mirror | Path,
    patience: Patience,
    *,
    show_progress: bool,
) -> Arrays:
    """Add the writers to cached arrays; return these without, if a mirror does not deliver them."""
    if isinstance(place, Path):
        for name, published in (named.writers.files if named.writers else {}).items():
            _checked(place / name, published)
        return array_cache.store_groups(with_writers(place, arrays), folder)
    with array_cache.staging_folder(folder) as staging:
        try:
            download([place], staging, patience=patience, show_progress=show_progress)
        except MirrorsExhaustedError as error:
            _LOG.info("The writers of %s are unavailable: %s", named.title, error)
            return arrays
        return array_cache.store_groups(with_writers(staging, arrays), folder)
