"""Groups of images, such as those by one writer: read with the images or beside them, checked, and cached."""

import gzip
from dataclasses import replace
from hashlib import sha256

import numpy as np
import pytest
from support.files import idx_bytes, splits, write
from support.mirror_server import MirrorServer, closed_address

from mnistbench.datasets import Reading, cache_folder, open_arrays, resolve
from mnistbench.datasets.download import Mirror
from mnistbench.datasets.fetch import fetch, find
from mnistbench.datasets.named import MNIST
from mnistbench.datasets.splits import evaluation_groups
from mnistbench.errors import DataError

GROUPS = {"train": np.arange(96) // 3 - 2, "test": np.arange(64) // 2 + 20}


def own_data(folder, kind, groups=GROUPS, data=None):
    """Write a data set with the groups of its images; a group of None is left out."""
    given = {split: ids for split, ids in groups.items() if ids is not None}
    if kind == "npz":
        arrays = {f"{'xy'[i]}_{split}": part[i] for split, part in (data or splits()).items() for i in (0, 1)}
        folder.mkdir(parents=True, exist_ok=True)
        np.savez(folder / "mine.npz", **arrays, **{f"groups_{split}": ids for split, ids in given.items()})
        return folder / "mine.npz"
    write(folder, data=data)
    for split, ids in given.items():
        name = {"train": "train", "test": "t10k"}[split]
        (folder / f"{name}-groups-idx1-int").write_bytes(idx_bytes(ids, ">i4"))
    return folder


@pytest.mark.parametrize("kind", ["idx", "npz"])
def test_groups_are_cached_with_the_images_and_held_out_whole(tmp_path, kind):
    cache = tmp_path / "cache"
    data = {split: (images, labels % 4) for split, (images, labels) in splits().items()}
    plain = resolve(str(own_data(tmp_path / "a" / "mine", kind, {}, data)), cache=cache)
    path = own_data(tmp_path / "b" / "mine", kind, GROUPS, data)
    info = resolve(str(path), cache=cache)
    arrays = open_arrays(info.arrays_folder)
    assert arrays.groups[:, 0].tolist() == [*GROUPS["train"], *GROUPS["test"]]
    assert set(arrays.groups[:, 1]) == {0}
    assert (info.groups_sha256, plain.groups_sha256) == (arrays.groups_sha256(), None)
    assert info.holdout == f"groups-{info.groups_sha256[:12]}"
    assert info.holdout_count == 15
    assert (info.sha256, info.group_noun, info.strata) == (plain.sha256, "group", ())
    assert open_arrays(plain.arrays_folder).groups is None
    np.save(tmp_path / "groups.npy", arrays.groups ^ 1)
    (tmp_path / "groups.npy").replace(f"{info.arrays_folder}/groups.npy")
    assert resolve(str(path), cache=cache) == info
    assert open_arrays(info.arrays_folder).groups_sha256() == info.groups_sha256


def test_test_images_of_unseen_classes_leave_with_their_groups(tmp_path):
    data = splits()
    data["test"][1][[3, 40]] = 99
    path = own_data(tmp_path / "mine", "npz", data=data)
    info = resolve(str(path), cache=tmp_path, reading=Reading(drop_unseen=True))
    kept = np.delete(GROUPS["test"], [3, 40])
    assert open_arrays(info.arrays_folder).groups[96:, 0].tolist() == kept.tolist()


UNTESTED = GROUPS | {"test": None}
WRONG = {
    "npz test groups missing": (UNTESTED, "npz", "has one of groups_train and groups_test alone"),
    "idx test groups missing": (UNTESTED, "idx", "test groups are missing.*t10k- or test-grou"),
    "too few": (GROUPS | {"test": GROUPS["test"][:-1]}, "idx", "64 test images but 63 test groups"),
    "real numbers": (GROUPS | {"train": np.ones(96)}, "npz", "training groups hold float64.*integers"),
}


@pytest.mark.parametrize("case", WRONG)
def test_groups_that_do_not_fit_are_refused(tmp_path, case):
    groups, kind, cause = WRONG[case]
    with pytest.raises(DataError, match=cause):
        resolve(str(own_data(tmp_path / "mine", kind, groups)), cache=tmp_path)


@pytest.fixture
def small(tmp_path):
    """MNIST's row of the table for a small data set, in "images", whose writers are in "labels"."""
    data = {split: (images, labels % 10) for split, (images, labels) in splits(size=(28, 28)).items()}
    write(tmp_path / "images", data=data, compressed=True)
    files = {}
    for part, name in (("train", "train"), ("test", "test")):
        labels = data[part][1]
        table = np.zeros((len(labels) + 5, 8), dtype=int)
        table[: len(labels), 0] = labels
        table[: len(labels), 1] = np.arange(len(labels)) % 3 // 2 * 4
        table[: len(labels), 2] = np.arange(len(labels)) // 3 + (1000 if part == "test" else 0)
        files[f"qmnist-{name}-labels-idx2-int.gz"] = gzip.compress(
            idx_bytes(table[: len(labels)] if part == "train" else table, ">i4"), mtime=0
        )
    (tmp_path / "labels").mkdir()
    for name, content in files.items():
        (tmp_path / "labels" / name).write_bytes(content)
    writers = Mirror(closed_address(), {name: sha256(content).hexdigest() for name, content in files.items()})
    return replace(
        MNIST, train_count=96, class_count=6, test_count=64, decoded={}, arrays_sha256=None,
        groups_sha256=None, mirrors=(Mirror("", dict.fromkeys(MNIST.mirrors[0].files)),), writers=writers,
    )  # fmt: skip


@pytest.mark.parametrize("order", [("images", "labels"), ("labels", "images")])
def test_writers_come_from_another_folder_than_the_images(tmp_path, small, order):
    info = fetch(small, cache=tmp_path / "cache", sources=[str(tmp_path / place) for place in order])
    groups = open_arrays(info.arrays_folder).groups
    assert groups[:, 0].tolist() == [*(np.arange(96) // 3), *(np.arange(64) // 3 + 1000)]
    assert groups[:, 1].tolist() == [*(np.arange(96) % 3 // 2), *(np.arange(64) % 3 // 2)]
    assert (info.group_noun, info.strata) == ("writer", ("employees", "students"))
    assert info.source == "folder images"
    assert fetch(small, cache=tmp_path / "cache", offline=True) == info
    assert resolve("mnist", cache=tmp_path / "cache", named={"mnist": small}) == info


def test_writers_are_added_to_a_cached_data_set_by_a_fetch_but_never_awaited_by_a_run(tmp_path, small):
    cache, images, labels = tmp_path / "cache", str(tmp_path / "images"), tmp_path / "labels"
    without = fetch(small, cache=cache, sources=[images])
    assert (without.groups_sha256, without.strata, without.holdout) == (None, (), "stratified")
    with MirrorServer({path.name: path.read_bytes() for path in labels.iterdir()}).running() as server:
        for behaviour in ("html", "good"):
            served = replace(small, writers=replace(small.writers, url=f"{server.url}{behaviour}/"))
            assert resolve("mnist", cache=cache, named={"mnist": served}).groups_sha256 is None
            info = fetch(served, cache=cache)
            assert (info.groups_sha256 is None) == (behaviour == "html")
        server.requests.clear()
        assert fetch(served, cache=cache) == info
        assert server.requests == []
    assert info.sha256 == without.sha256


def test_writers_of_other_images_and_damaged_files_of_them_are_refused(tmp_path, small):
    fetch(small, cache=tmp_path, sources=[str(tmp_path / "images")])
    path = tmp_path / "labels" / "qmnist-train-labels-idx2-int.gz"
    other = bytearray(gzip.decompress(path.read_bytes()))
    other[15] ^= 1
    path.write_bytes(gzip.compress(bytes(other), mtime=0))
    with pytest.raises(DataError, match=f"{path.name}: its hash is .*, expected"):
        fetch(small, cache=tmp_path, sources=[str(path.parent)])
    files = small.writers.files | {path.name: sha256(path.read_bytes()).hexdigest()}
    other_writers = replace(small, writers=replace(small.writers, files=files))
    with pytest.raises(DataError, match="the classes in QMNIST's labels are not those of MNIST's images"):
        fetch(other_writers, cache=tmp_path, sources=[str(path.parent)])
    assert fetch(small, cache=tmp_path, offline=True).groups_sha256 is None


def test_no_writer_of_mnists_test_images_wrote_any_that_train():
    info = find(MNIST, cache_folder())
    if info is None or info.groups_sha256 is None:
        pytest.skip("MNIST with its writers is not in the cache: run `mnistbench fetch`")
    arrays = open_arrays(info.arrays_folder)
    groups = evaluation_groups(arrays, "test")
    assert (len(np.unique(groups.ids)), groups.trained_on.any()) == (297, False)
    assert np.bincount(groups.strata).tolist() == [4_999, 5_001]
    held = evaluation_groups(arrays, "validation", info.holdout)
    assert (info.holdout_count, len(np.unique(held.ids)), held.trained_on.any()) == (9_957, 89, False)
    assert evaluation_groups(arrays, "validation", "last").trained_on.mean() == 0.408
