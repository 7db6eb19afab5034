"""A user's own folder: found by its names, checked, and cached under its content."""

import gzip
import os
import pickle

import numpy as np
import pytest
from support.files import LABELS, idx_bytes, splits, write

from mnistbench.datasets import Reading, open_arrays, resolve
from mnistbench.datasets.folder import read_folder, read_user_data
from mnistbench.errors import DataError


def assert_is(arrays, data):
    for name, (images, labels) in data.items():
        np.testing.assert_array_equal(getattr(arrays, f"x_{name}"), images)
        np.testing.assert_array_equal(getattr(arrays, f"y_{name}"), labels)


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("test", ["t10k", "test"])
@pytest.mark.parametrize("separator", ["-", "."])
@pytest.mark.parametrize("name", ["", "emnist-letters-", "qmnist-", "my.own_data-"])
def test_reads_the_four_files_under_each_of_their_names(tmp_path, name, test, compressed, separator):
    folder = write(tmp_path / "mine", name=name, test=test, compressed=compressed, separator=separator)
    assert_is(read_folder(folder), splits())


def test_of_a_table_of_labels_the_first_column_is_the_class(tmp_path):
    folder = write(tmp_path / "mine", name="qmnist-", test="test")
    for split, (_, labels) in splits().items():
        (folder / f"qmnist-{split}-labels-idx1-ubyte").unlink()
        table = np.column_stack([labels, np.full((len(labels), 7), 99)])
        content = gzip.compress(idx_bytes(table, ">i4"))
        (folder / f"qmnist-{split}-labels-idx2-int.gz").write_bytes(content)
    assert_is(read_folder(folder), splits())


def test_several_data_sets_in_one_folder_are_not_chosen_between(tmp_path):
    write(tmp_path / "mine", name="emnist-digits-")
    folder = write(tmp_path / "mine", name="emnist-letters-")
    with pytest.raises(DataError, match="several data sets: 'emnist-digits' and 'emnist-letters'; put each"):
        read_folder(folder)


def test_files_of_an_incomplete_data_set_beside_a_complete_one_do_no_harm(tmp_path):
    folder = write(tmp_path / "mine")
    (folder / "qmnist-test-labels-idx2-int.gz").write_bytes(b"rubbish")
    assert_is(read_folder(folder), splits())


def test_an_error_names_a_missing_file_like_the_others(tmp_path):
    folder = write(tmp_path / "mine", name="emnist-digits-")
    (folder / "emnist-digits-train-images-idx3-ubyte").unlink()
    with pytest.raises(DataError, match="expected a file emnist-digits-train-images-idx3-ubyte, with or"):
        read_folder(folder)


def test_a_folder_with_an_npz_alone_leads_to_that_file(tmp_path):
    np.savez(tmp_path / "mine.npz", x=np.zeros(3))
    with pytest.raises(DataError, match=r"holds no IDX files, but it holds mine\.npz: use that file"):
        read_folder(tmp_path)


OTHER_FORMATS = {
    "train.csv": (b"label,pixel0,pixel1\n5,0,0\n" * 500, r"is a table of text \(CSV\)"),
    "umlaut.tsv": (("xy\t" + "ö" * 4000).encode() + b"\n", r"is a table of text \(CSV\)"),
    "notes.txt": (b"hello", "is a text file"),
    "x.npy": (b"\x93NUMPY\x01\x00", r"is a single array \(\.npy\)"),
    "renamed.npz": (b"\x93NUMPY\x01\x00", r"is a single array \(\.npy\)"),
    "data.pkl": (pickle.dumps([1, 2]), "is a pickle, which is never read"),
    "mnist.pkl.gz": (gzip.compress(pickle.dumps([1, 2])), "is a gzip-compressed file"),
    "digits.h5": (b"\x89HDF\r\n\x1a\n", "is an HDF5 file"),
    "mnist.mat": (b"MATLAB 5.0 MAT-file", "is a MATLAB file"),
    "seven.png": (b"\x89PNG\r\n", "is a picture"),
}


@pytest.mark.parametrize("name", OTHER_FORMATS)
def test_an_unsupported_format_is_refused_with_the_supported_ones(tmp_path, name):
    content, what = OTHER_FORMATS[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=f"{name}: {what}; expected a folder of four IDX files.*numpy.savez"):
        read_user_data(tmp_path / name)


@pytest.mark.parametrize("compressed", [False, True])
def test_a_single_idx_file_leads_to_its_folder(tmp_path, compressed):
    for path in write(tmp_path / "mine", compressed=compressed).iterdir():
        with pytest.raises(DataError) as caught:
            read_user_data(path)
        assert str(caught.value).endswith(
            f"is a single IDX file; a data set is a folder of four: use {tmp_path / 'mine'}"
        )


@pytest.mark.parametrize("label_type", [">i1", ">i2", ">i4"])
def test_labels_may_be_of_any_integer_type_and_negative(tmp_path, label_type):
    data = splits()
    for _, labels in data.values():
        labels[labels == 9] = -9
    found = read_folder(write(tmp_path / "mine", label_type=label_type, data=data))
    assert_is(found, data)
    assert found.y_train.min() == -9


def test_of_a_file_and_its_compressed_copy_the_one_with_a_check_sum_is_read(tmp_path):
    write(tmp_path / "mine", compressed=True)
    folder = write(tmp_path / "mine")
    folder.joinpath("train-images-idx3-ubyte").write_bytes(b"rubbish")
    assert_is(read_folder(folder), splits())


@pytest.mark.parametrize("part", ["train", "t10k"])
@pytest.mark.parametrize("kind", ["images-idx3-ubyte", "labels-idx1-ubyte"])
def test_an_error_names_the_missing_file(tmp_path, part, kind):
    folder = write(tmp_path / "mine")
    (folder / f"{part}-{kind}").unlink()
    with pytest.raises(DataError, match=f"^{folder}: the t.*{part.replace('t10k', 't10k- or test')}-{kind}"):
        read_folder(folder)


def test_two_files_for_one_part_are_not_chosen_between(tmp_path):
    write(tmp_path / "mine", test="test")
    folder = write(tmp_path / "mine", test="t10k")
    with pytest.raises(DataError, match="t10k-images-idx3-ubyte and test-images-idx3-ubyte could both be"):
        read_folder(folder)


def test_real_valued_images_are_refused_with_the_way_to_convert_them(tmp_path):
    folder = write(tmp_path / "mine")
    for part, name in (("train", "train-images-idx3-ubyte"), ("test", "t10k-images-idx3-ubyte")):
        (folder / name).write_bytes(idx_bytes(splits()[part][0] / 255, ">f4"))
    with pytest.raises(DataError, match=r"float32 values.*Convert.* or use --pixel-max 1\."):
        read_folder(folder)
    assert_is(read_folder(folder, Reading(pixel_max=1)), splits())


def test_an_error_names_the_damaged_file(tmp_path):
    folder = write(tmp_path / "mine", compressed=True)
    file = folder / "t10k-labels-idx1-ubyte.gz"
    file.write_bytes(file.read_bytes()[:-10])
    with pytest.raises(DataError, match=r"t10k-labels-idx1-ubyte\.gz: truncated"):
        read_folder(folder)


def test_an_unreadable_folder_is_reported(tmp_path):
    with pytest.raises(DataError, match="cannot be read: No such file"):
        read_folder(tmp_path / "missing")


def test_a_folder_is_cached_and_described(tmp_path):
    info = resolve(str(write(tmp_path / "my digits", compressed=True)), cache=tmp_path / "cache")
    assert info.name == info.title == "my-digits"
    assert info.source == "folder my digits"
    assert info.image_shape == (9, 7)
    assert info.classes == tuple(LABELS.tolist())
    assert (info.train_count, info.test_count) == (96, 64)
    arrays = open_arrays(info.arrays_folder)
    assert_is(arrays, splits())
    assert arrays.sha256() == info.sha256


def test_a_change_in_the_folder_is_seen_and_the_same_content_is_cached_once(tmp_path):
    cache = tmp_path / "cache"
    first = resolve(str(write(tmp_path / "mine")), cache=cache)
    assert resolve(str(write(tmp_path / "mine", compressed=True)), cache=cache) == first
    changed = splits()
    changed["train"][0][0, 0, 0] ^= 1
    second = resolve(str(write(tmp_path / "mine", compressed=True, data=changed)), cache=cache)
    assert second.name == first.name
    assert second.sha256 != first.sha256
    assert second.arrays_folder != first.arrays_folder
    assert open_arrays(first.arrays_folder).sha256() == first.sha256


def test_a_damaged_cache_of_it_is_repaired(tmp_path):
    folder = str(write(tmp_path / "mine"))
    info = resolve(folder, cache=tmp_path / "cache")
    (tmp_path / "cache" / f"mine-{info.sha256[:16]}" / "x_test.npy").write_bytes(b"rubbish")
    assert resolve(folder, cache=tmp_path / "cache") == info
    assert_is(open_arrays(info.arrays_folder), splits())


@pytest.mark.skipif(os.name != "posix", reason="Windows forbids such names")
@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("..", None),
        ("<img src=x>\n|`", "img-src-x"),
        ("über ", "ber"),
        ("数字", "dataset"),
        ("a" * 200, "a" * 64),
        ("...", "dataset"),
        ("--rm", "rm"),
    ],
)
def test_names_stay_inside_the_cache_and_harmless(tmp_path, name, plain):
    """Whatever a folder is called, its name is letters, digits, dots, dashes and underscores."""
    cache = tmp_path / "cache"
    folder = tmp_path / "deep" / name
    if plain is None:  # the folder's own name counts, not the way it was written
        (tmp_path / "deep" / "inner").mkdir(parents=True)
        folder, plain = tmp_path / "deep" / "inner" / "..", "deep"
    info = resolve(str(write(folder)), cache=cache)
    assert info.name == plain
    assert [path.name for path in cache.iterdir()] == [f"{plain}-{info.sha256[:16]}"]


@pytest.mark.parametrize("name", ["mnist", "Digits"])
def test_other_data_cannot_pose_as_a_built_in_data_set(tmp_path, name):
    info = resolve(str(write(tmp_path / name)), cache=tmp_path / "cache")
    assert info.name == f"{name}-{info.sha256[:8]}"


def test_an_npz_file_is_named_after_its_stem(tmp_path):
    arrays = {}
    for split, (images, labels) in splits().items():
        arrays |= {f"x_{split}": images, f"y_{split}": labels}
    np.savez(tmp_path / "mine.v2.npz", **arrays)
    info = resolve(str(tmp_path / "mine.v2.npz"), cache=tmp_path / "cache")
    assert (info.name, info.source) == ("mine.v2", "file mine.v2.npz")
    folder_info = resolve(str(write(tmp_path / "mine")), cache=tmp_path / "cache")
    assert info.sha256 == folder_info.sha256


def test_how_it_was_read_is_part_of_what_it_is(tmp_path):
    data = {split: (images // 16, labels) for split, (images, labels) in splits().items()}
    data["test"][1][data["test"][1] == 9] = 99
    reading = Reading(pixel_max=16, drop_unseen=True)
    info = resolve(str(write(tmp_path / "mine", data=data)), cache=tmp_path / "cache", reading=reading)
    assert info.reading == reading
    assert info.changes == (
        "pixels scaled from 0-16",
        "without 2 test images of 1 class without training images",
    )
    assert info.title == f"mine ({info.changes[0]}; {info.changes[1]})"
    assert info.test_count == 62
    assert open_arrays(info.arrays_folder).sha256() == info.sha256
