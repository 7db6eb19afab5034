"""From what the user named to a data set."""

import os
from dataclasses import replace

import pytest
from support.files import write
from support.mirror_server import closed_address
from support.python import loaded_by

from mnistbench.datasets import Reading, resolve
from mnistbench.datasets.download import Mirror, Patience
from mnistbench.datasets.named import MNIST, NAMED
from mnistbench.errors import DataError, UsageError


@pytest.fixture
def unreachable():
    """A mirror that refuses connections."""
    mirrors = (Mirror(closed_address(), MNIST.mirrors[0].files),)
    named = NAMED | {"mnist": replace(MNIST, mirrors=mirrors)}
    return {"named": named, "patience": Patience(connect_seconds=1, attempts=1)}


def test_digits_replace_an_unavailable_mnist_that_was_not_asked_for(tmp_path, unreachable):
    info = resolve(None, cache=tmp_path, **unreachable)
    assert info.name == "digits"
    assert info.fallback_reason == "MNIST is not in the cache, and no mirror delivered it: connection refused"


def test_digits_stand_in_offline_with_the_reason(tmp_path):
    info = resolve(None, cache=tmp_path, offline=True)
    assert info.name == "digits"
    assert "--offline forbids fetching it" in info.fallback_reason
    assert "\n" not in info.fallback_reason


def test_mnist_by_name_never_falls_back(tmp_path, unreachable):
    with pytest.raises(DataError, match="connection refused"):
        resolve("mnist", cache=tmp_path, **unreachable)
    assert not (tmp_path / "digits").exists()


def test_digits_by_name_are_no_fallback(tmp_path):
    assert resolve("digits", cache=tmp_path, offline=True).fallback_reason is None


def test_a_built_in_name_wins_over_a_folder_which_a_path_still_reaches(tmp_path, monkeypatch):
    write(tmp_path / "digits")
    monkeypatch.chdir(tmp_path)
    assert resolve("digits", cache=tmp_path / "cache").source == "embedded in scikit-learn"
    assert resolve("./digits", cache=tmp_path / "cache").source == "folder digits"


@pytest.mark.parametrize(("spec", "near"), [("mnits", "mnist"), ("MNIST", "mnist"), ("digit", "digits")])
def test_a_misspelt_name_gets_a_suggestion(tmp_path, spec, near):
    with pytest.raises(UsageError, match=f"Did you mean {near}"):
        resolve(spec, cache=tmp_path)


def test_an_unknown_name_is_answered_with_the_known_ones(tmp_path):
    with pytest.raises(UsageError, match=r"'photographs'\. Use a FOLDER, a FILE.npz, or a name that"):
        resolve("photographs", cache=tmp_path)


@pytest.mark.parametrize("spec", ["missing/folder", "missing.npz", "/dev/null"])
def test_a_path_to_nothing_is_reported(tmp_path, spec):
    with pytest.raises(DataError, match="there is no such folder or file"):
        resolve(spec, cache=tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_does_not_make_it_wait(tmp_path):
    os.mkfifo(tmp_path / "pipe.npz")
    with pytest.raises(DataError, match="there is no such folder or file"):
        resolve(str(tmp_path / "pipe.npz"), cache=tmp_path)


def test_an_address_is_pointed_to_fetch(tmp_path):
    with pytest.raises(UsageError, match="mnistbench fetch --from https://mirror"):
        resolve("https://mirror.example/mnist/", cache=tmp_path)


def test_importing_the_package_loads_no_slow_library():
    slow = ("pooch", "requests", "sklearn", "scipy", "tqdm", "platformdirs")
    assert loaded_by("import mnistbench.datasets", *slow) == set()


@pytest.mark.parametrize("spec", [None, "mnist", "digits"])
@pytest.mark.parametrize("reading", [Reading(pixel_max=16), Reading(drop_unseen=True)])
def test_the_built_in_data_sets_are_read_in_one_way_only(tmp_path, spec, reading):
    with pytest.raises(UsageError, match="--pixel-max and --unseen apply only to your own data"):
        resolve(spec, cache=tmp_path, reading=reading, offline=True)
