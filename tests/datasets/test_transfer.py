"""Training on one data set and testing on another: refused unless nobody is on both sides."""

from dataclasses import replace

import numpy as np
import pytest
from support.trials import write_dataset

from mnistbench.datasets import open_arrays, resolve
from mnistbench.datasets.cache import cached_arrays, store
from mnistbench.datasets.splits import evaluation_groups
from mnistbench.datasets.transfer import transfer
from mnistbench.errors import UsageError

WRITERS = {"people": "writers of NIST", "group_noun": "writer"}


def made(folder, name, first_writer=None, **about):
    """Return a data set of noise whose training images are by ten writers, its test images by ten others."""
    info = replace(write_dataset(folder / name), name=name, title=name.upper(), **about)
    if first_writer is None:
        return info
    ids = first_writer + np.r_[np.arange(240) // 24, 10 + np.arange(60) // 6]
    arrays = replace(open_arrays(info.arrays_folder), groups=np.stack([ids, ids % 2], axis=1))
    store(arrays, folder / name, "a test")
    return replace(info, groups_sha256=arrays.groups_sha256(), strata=("even", "odd"))


def test_of_two_sets_by_the_same_people_the_writers_are_compared(tmp_path):
    ours, theirs = made(tmp_path, "a", 0, **WRITERS), made(tmp_path, "b", 30, **WRITERS)
    info = transfer(ours, theirs, tmp_path / "cache")
    assert (info.name, info.title) == ("a-to-b", "A, tested on B")
    assert info.overlap == "None of the 10 writers of the test images wrote a training image."
    arrays = open_arrays(info.arrays_folder)
    assert (arrays.x_train == open_arrays(ours.arrays_folder).x_train).all()
    assert (arrays.x_test == open_arrays(theirs.arrays_folder).x_test).all()
    groups = evaluation_groups(arrays, "test")
    assert (sorted(set(groups.ids)), groups.trained_on.any()) == ([*range(40, 50)], False)
    assert (info.sha256, info.groups_sha256) == (arrays.sha256(), arrays.groups_sha256())
    assert info.holdout.startswith("groups-")
    assert cached_arrays(tmp_path / "cache", info).sha256() == info.sha256


REFUSED = {
    "a writer of both": (
        (0, WRITERS),
        (-15, WRITERS),
        "5 writers of the test images also wrote training images",
    ),
    "writers of one unknown": ((0, WRITERS), (None, WRITERS), "does not say who wrote each image"),
    "no writers at all": ((0, WRITERS), (30, {"people": "writers of NIST"}), "is not known of both"),
    "other classes": ((0, WRITERS), (30, WRITERS | {"class_names": ("a", "b")}), "have different classes"),
    "other sizes": ((0, WRITERS), (30, WRITERS | {"image_shape": (9, 9)}), "differ in size"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_two_sets_that_do_not_fit_or_may_share_writers_are_refused(tmp_path, case):
    (first, about), (other, about_other), cause = REFUSED[case]
    with pytest.raises(UsageError, match=f"--train-on a --test-on b: .*{cause}"):
        transfer(made(tmp_path, "a", first, **about), made(tmp_path, "b", other, **about_other), tmp_path)


@pytest.mark.parametrize(
    ("people", "said"),
    [("envelopes", "A and B are from different sources: scans, envelopes."), ("", "was not checked")],
)
def test_the_page_can_say_what_was_checked_of_other_sources(tmp_path, people, said):
    ours, theirs = made(tmp_path, "a", people="scans"), made(tmp_path, "b", people=people)
    assert said in transfer(ours, theirs, tmp_path).overlap


@pytest.mark.parametrize("spec", ["mnist->emnist-digits", "emnist-letters->mnist", "mnist->mnist-c"])
def test_named_sets_that_may_share_writers_are_refused_before_anything_is_fetched(tmp_path, spec):
    with pytest.raises(UsageError, match="both are by writers of NIST"):
        resolve(spec, cache=tmp_path)
    assert not any(tmp_path.iterdir())
