"""Every named data set: its row of the table, and files of its exact form, from a server or a folder."""

import bz2
import gzip
import hashlib
import io
import zipfile
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from support.files import idx_bytes
from support.mirror_server import MirrorServer

from mnistbench.datasets import cache_folder, open_arrays, resolve
from mnistbench.datasets.decoders import zipped_idx
from mnistbench.datasets.fetch import fetch, find
from mnistbench.datasets.holdout import described
from mnistbench.datasets.named import NAMED
from mnistbench.datasets.splits import evaluation_groups, split
from mnistbench.errors import DataError

DRAW = np.random.default_rng(5)
TRAIN, TEST = 60, 20


def images(count, size=(28, 28)):
    return DRAW.integers(0, 256, (count, *size), dtype=np.uint8)


def npz(**arrays):
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def archive(members):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as packed:
        for name, content in members.items():
            packed.writestr(name, content)
    return file.getvalue()


def usual(x, y, prefix=""):
    parts = {"train": "train", "test": "t10k" if not prefix else "test"}
    return {
        f"{prefix}{parts[part]}-{kind}-ubyte.gz": gzip.compress(idx_bytes(array))
        for part in ("train", "test")
        for kind, array in (("images-idx3", x[part]), ("labels-idx1", y[part]))
    }


def labels(first=0, classes=3):
    return {"train": first + np.arange(TRAIN) % classes, "test": first + np.arange(TEST) % classes}


def kmnist():
    x, y = {"train": images(TRAIN), "test": images(TEST)}, labels()
    return usual(x, y), x, y, {}


def kuzushiji_49():
    x, y = {"train": images(TRAIN), "test": images(TEST)}, labels()
    files = {f"k49-{part}-imgs.npz": npz(arr_0=x[part]) for part in x}
    return files | {f"k49-{part}-labels.npz": npz(arr_0=y[part].astype(np.uint8)) for part in y}, x, y, {}


def emnist_letters():
    """The archive has other splits, too; images are stored with rows and columns exchanged."""
    x, y = {"train": images(TRAIN), "test": images(TEST)}, labels(first=1)
    stored = {part: array.transpose(0, 2, 1) for part, array in x.items()}
    members = usual(stored, y, "gzip/emnist-letters-") | usual(x, labels(), "gzip/emnist-digits-")
    return {"gzip.zip": archive(members)}, x, y, {}


def qmnist(lost=False):
    count = 10_000 + TEST
    x = {"train": images(TRAIN, (2, 3)), "test": images(count, (2, 3))}
    y = {"train": np.arange(TRAIN) % 3, "test": np.arange(count) % 3}
    files = {}
    for part, first in (("train", 0), ("test", 50)):
        table = np.zeros((len(y[part]), 8), dtype=int)
        table[:, :3] = np.stack([y[part], np.resize([0, 1, 4], len(y[part])), first + y[part] // 2], axis=1)
        files[f"qmnist-{part}-images-idx3-ubyte.gz"] = gzip.compress(idx_bytes(x[part]), 1)
        files[f"qmnist-{part}-labels-idx2-int.gz"] = gzip.compress(idx_bytes(table, ">i4"))
    if lost:
        x["test"], y["test"] = x["test"][10_000:], y["test"][10_000:]
    return files, x, y, {"image_shape": (2, 3), "test_count": len(y["test"])}


def usps():
    """A line has only the pixels that are not 0, with up to eight digits."""
    x, y, files = {}, labels(first=1, classes=10), {}
    for part, name in (("train", "usps.bz2"), ("test", "usps.t.bz2")):
        values = DRAW.choice([-1, -0.9999999, -0.5, 0, 0.25, 1], (len(y[part]), 256))
        x[part] = np.floor((values + 1) * 127.5 + 0.5).astype(np.uint8).reshape(-1, 16, 16)
        lines = [
            " ".join([str(label), *(f"{i}:{v:.8g}" for i, v in enumerate(row, start=1) if v)]) + " \n"
            for label, row in zip(y[part], values, strict=True)
        ]
        files[name] = bz2.compress("".join(lines).encode())
    return files, x, y, {"class_count": 10}


def breastmnist():
    x, y = {"train": images(TRAIN), "test": images(TEST)}, labels(classes=2)
    cut = {"train": slice(50), "val": slice(50, None)}
    arrays = {f"{part}_images": x["train"][rows] for part, rows in cut.items()} | {"test_images": x["test"]}
    arrays |= {f"{part}_labels": y["train"][rows, None] for part, rows in cut.items()}
    file = npz(**arrays, test_labels=y["test"][:, None])
    return {"breastmnist.npz": file}, x, y, {"class_count": 2, "validation_count": 10}


def mnist_c():
    kinds = [name.replace(" ", "_") for name in NAMED["mnist-c"].strata]
    x, y = {"train": images(TRAIN), "test": images(15 * TEST)}, labels()
    members = {}
    for number, kind in enumerate(kinds):
        rows = slice((number - 1) * TEST, number * TEST) if number else slice(TEST)
        for part, array in (("train", x["train"] ^ number), ("test", x["test"][rows])):
            for what, values in (("images", array[..., None]), ("labels", y[part])):
                file = io.BytesIO()
                np.save(file, values)
                members[f"mnist_c/{kind}/{part}_{what}.npy"] = file.getvalue()
    y["test"] = np.tile(y["test"], 15)
    return {"mnist_c.zip": archive(members)}, x, y, {"test_count": 15 * TEST}


FORMS = {
    "kmnist": kmnist,
    "kuzushiji-49": kuzushiji_49,
    "emnist-letters": emnist_letters,
    "qmnist": qmnist,
    "qmnist-lost": lambda: qmnist(lost=True),
    "usps": usps,
    "breastmnist": breastmnist,
    "mnist-c": mnist_c,
}


def small(name):
    """Return the row of a data set for small files of its form, these, and the arrays that they hold."""
    files, x, y, more = FORMS[name]()
    (mirror,) = NAMED[name].mirrors
    hashes = {
        file: None
        if published is None
        else f"md5:{hashlib.md5(files[file]).hexdigest()}"
        if published.startswith("md5:")
        else hashlib.sha256(files[file]).hexdigest()
        for file, published in mirror.files.items()
    }
    counts = {"train_count": TRAIN, "test_count": TEST, "class_count": 3}
    named = replace(NAMED[name], mirrors=(replace(mirror, files=hashes),), **(counts | more))
    return named, files, x, y


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("way", ["server", "folder"])
def test_files_of_its_form_become_its_arrays(tmp_path, name, way):
    named, files, x, y = small(name)
    cache = tmp_path / "cache"
    if way == "server":
        with MirrorServer(files).running() as server:
            mirror = replace(named.mirrors[0], url=f"{server.url}good/")
            info = fetch(replace(named, mirrors=(mirror,)), cache=cache)
            assert len(server.requests) == len(files)
            assert all(path.endswith(mirror.query) for path in server.requests)
    else:
        (tmp_path / "files").mkdir()
        for file, content in files.items():
            (tmp_path / "files" / file).write_bytes(content)
        info = fetch(named, cache=cache, sources=[str(tmp_path / "files")], offline=True)
    arrays = open_arrays(info.arrays_folder)
    for part in ("train", "test"):
        np.testing.assert_array_equal(getattr(arrays, f"x_{part}"), x[part])
        np.testing.assert_array_equal(getattr(arrays, f"y_{part}"), y[part])
    assert info.sha256 == arrays.sha256()
    assert find(named, cache) == info
    assert fetch(named, cache=cache, offline=True) == info


@pytest.mark.parametrize("name", FORMS)
def test_another_file_under_its_name_is_refused(tmp_path, name):
    named, files, _, _ = small(name)
    damaged = [file for file, published in named.mirrors[0].files.items() if published is not None]
    for file, content in files.items():
        (tmp_path / file).write_bytes(content if file not in damaged else content[:-1])
    if damaged:
        with pytest.raises(DataError, match=r"its hash is .*, expected .* Download the file again"):
            fetch(named, cache=tmp_path / "cache", sources=[str(tmp_path)])
    else:  # no hash is published, so that its shape must tell
        with pytest.raises(DataError, match=r"its training images, test images, .* expected"):
            fetch(replace(named, train_count=7), cache=tmp_path / "cache", sources=[str(tmp_path)])
    assert find(named, tmp_path / "cache") is None


def test_a_hash_that_nobody_publishes_is_kept_from_the_first_download(tmp_path):
    named, files, _, _ = small("kuzushiji-49")
    with MirrorServer(files).running() as server:
        served = replace(named, mirrors=(replace(named.mirrors[0], url=f"{server.url}good/"),))
        info = fetch(served, cache=tmp_path)
        kept = (tmp_path / named.name / "sha256.txt").read_text()
        assert f"{hashlib.sha256(files['k49-test-imgs.npz']).hexdigest()}  k49-test-imgs.npz\n" in kept
        (tmp_path / named.name / "x_test.npy").unlink()
        server.files["k49-test-imgs.npz"] += b" "
        with pytest.raises(DataError, match=r"k49-test-imgs\.npz: wrong content"):
            fetch(served, cache=tmp_path)
        server.files |= files
        assert fetch(served, cache=tmp_path) == info


def test_data_sets_of_one_archive_are_one_download(tmp_path):
    letters, files, *_ = small("emnist-letters")
    shared = letters.kept_in
    assert {each.kept_in for each in NAMED.values() if each.name.startswith("emnist")} == {shared}
    with MirrorServer(files).running() as server:
        mirrors = (replace(letters.mirrors[0], url=f"{server.url}good/"),)
        for name in ("letters", "digits", "letters-again"):
            members = f"gzip/emnist-{name.removesuffix('-again')}-"
            read = partial(zipped_idx, archive="gzip.zip", members=members)
            info = fetch(replace(letters, name=name, mirrors=mirrors, read=read), cache=tmp_path)
            assert info.source == f"{server.url}good/"
        assert len(server.requests) == 1
        (tmp_path / shared / "gzip.zip").write_bytes(b"damaged")
        fetch(replace(letters, name="other", mirrors=mirrors), cache=tmp_path)
        assert len(server.requests) == 2
    assert [path.name for path in (tmp_path / shared).iterdir()] == ["gzip.zip"]


def test_validation_images_of_medmnist_are_its_hold_out(tmp_path):
    named, files, _, _ = small("breastmnist")
    (tmp_path / "breastmnist.npz").write_bytes(files["breastmnist.npz"])
    info = fetch(named, cache=tmp_path, sources=[str(tmp_path)])
    assert (info.holdout, info.holdout_count) == ("last-10", 10)
    held = split(open_arrays(info.arrays_folder), "validation", None, 0, info.holdout)
    assert (len(held.y_train), len(held.y_eval)) == (50, 10)
    assert described(info.holdout) == "the last 10 training images, which the data set itself holds out"


def test_the_copies_of_one_image_are_a_group_and_kinds_of_corruption_strata(tmp_path):
    named, files, _, _ = small("mnist-c")
    (tmp_path / "mnist_c.zip").write_bytes(files["mnist_c.zip"])
    groups = evaluation_groups(
        open_arrays(fetch(named, cache=tmp_path, sources=[str(tmp_path)]).arrays_folder), "test"
    )
    assert groups.ids.tolist() == [*range(TEST)] * 15
    assert groups.strata.tolist() == np.repeat(np.arange(1, 16), TEST).tolist()
    assert not groups.trained_on.any()


@pytest.mark.parametrize("name", NAMED)
def test_a_row_of_the_table_is_complete(name):
    named = NAMED[name]
    assert named.name == name
    assert all(
        mirror.url.startswith(("http://", "https://")) and mirror.url.endswith("/")
        for mirror in named.mirrors
    )
    assert named.mirrors or named.origin
    assert len(named.class_names) in (0, named.class_count)
    assert len(set(named.class_names)) == len(named.class_names)
    for mirror in named.mirrors:
        for published in mirror.files.values():
            assert published is None or len(published) in (64, 4 + 32)
    assert named.citation
    assert named.licence


def test_fashion_mnist_in_the_cache_is_the_published_one():
    info = find(NAMED["fashion-mnist"], cache_folder())
    if info is None:
        pytest.skip("Fashion-MNIST is not in the cache: run `mnistbench fetch fashion-mnist`")
    arrays = open_arrays(info.arrays_folder)
    for name, published in NAMED["fashion-mnist"].decoded.items():
        assert hashlib.sha256(idx_bytes(getattr(arrays, name))).hexdigest() == published
    assert info.class_names[9] == "ankle boot"
    assert (info.holdout, info.holdout_count) == ("last", 10_000)


def test_data_sets_lie_beside_each_other_in_one_cache(tmp_path):
    named, files, _, _ = small("kmnist")
    for file, content in files.items():
        (tmp_path / file).write_bytes(content)
    first = fetch(named, cache=tmp_path / "cache", sources=[str(tmp_path)])
    resolve("digits", cache=tmp_path / "cache")
    assert resolve("kmnist", cache=tmp_path / "cache", named={"kmnist": named}, offline=True) == first
