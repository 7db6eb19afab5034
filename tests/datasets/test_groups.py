"""Groups of images, such as those by one writer: read from a user's own data, checked, and cached with it."""

import numpy as np
import pytest
from support.files import idx_bytes, splits, write

from mnistbench.datasets import Reading, open_arrays, resolve
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


WRONG = {
    "npz test groups missing": (GROUPS | {"test": None}, "npz", "has groups_train alone; expected groups_tr"),
    "idx test groups missing": (
        GROUPS | {"test": None},
        "idx",
        "test groups are missing.*t10k- or test-grou",
    ),
    "too few": (GROUPS | {"test": GROUPS["test"][:-1]}, "idx", "64 test images but 63 test groups"),
    "real numbers": (GROUPS | {"train": np.ones(96)}, "npz", "training groups hold float64.*integers"),
}


@pytest.mark.parametrize("case", WRONG)
def test_groups_that_do_not_fit_are_refused(tmp_path, case):
    groups, kind, cause = WRONG[case]
    with pytest.raises(DataError, match=cause):
        resolve(str(own_data(tmp_path / "mine", kind, groups)), cache=tmp_path)
