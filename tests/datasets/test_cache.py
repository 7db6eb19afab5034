"""The cache: believed only after a check, never half-written, shared without locks."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from mnistbench.datasets import cache_folder, open_arrays
from mnistbench.datasets.arrays import ARRAY_NAMES, Arrays
from mnistbench.datasets.cache import source_of, staging_folder, store, verified_arrays
from mnistbench.errors import DataError


def some_arrays(count=40):
    rng = np.random.default_rng(count)
    return Arrays(
        x_train=rng.integers(0, 256, (count, 5, 4), dtype=np.uint8),
        y_train=rng.integers(0, 3, count),
        x_test=rng.integers(0, 256, (count, 5, 4), dtype=np.uint8),
        y_test=rng.integers(0, 3, count),
    )


ARRAYS = some_arrays()
SHA256 = ARRAYS.sha256()


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "cache" / "mine"


def test_the_override_wins_then_the_environment_then_the_users_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("MNISTBENCH_CACHE", str(tmp_path / "from environment"))
    assert cache_folder(tmp_path / "given") == tmp_path / "given"
    assert cache_folder() == tmp_path / "from environment"
    monkeypatch.setenv("MNISTBENCH_CACHE", "~/somewhere")
    assert cache_folder() == Path.home() / "somewhere"
    monkeypatch.setenv("MNISTBENCH_CACHE", "")
    assert cache_folder().name == "mnistbench"
    assert cache_folder() != tmp_path


def test_a_relative_folder_does_not_move_with_the_working_folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert cache_folder(Path("here")) == tmp_path / "here"


def test_what_is_stored_is_read_back_memory_mapped_and_read_only(folder):
    store(ARRAYS, folder, "folder mine")
    found = open_arrays(folder)
    for name in ARRAY_NAMES:
        array = getattr(found, name)
        np.testing.assert_array_equal(array, getattr(ARRAYS, name))
        assert isinstance(array, np.memmap)
        assert not array.flags.writeable
    assert source_of(folder) == "folder mine"
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        [*(f"{name}.npy" for name in ARRAY_NAMES), "source.txt"]
    )


def test_nothing_stored_is_nothing_found(folder, caplog):
    assert verified_arrays(folder, SHA256) is None
    assert not caplog.records
    with pytest.raises(DataError, match=r"x_train\.npy is missing"):
        open_arrays(folder)


def damage(path, position, how):
    content = bytearray(path.read_bytes())
    match how:
        case "flip":
            content[position] ^= 0x10
        case "cut":
            del content[position:]
        case "zero":
            content[position : position + 64] = bytes(len(content[position : position + 64]))
    path.write_bytes(content)


@pytest.mark.parametrize("how", ["flip", "cut", "zero"])
def test_damage_anywhere_is_detected_and_reported(folder, how, caplog):
    """In the .npy header as well as in the values, and whatever the header parser makes of it."""
    rng = random.Random(how)
    store(ARRAYS, folder, "here")
    for _ in range(60):
        path = folder / f"{rng.choice(ARRAY_NAMES)}.npy"
        original = path.read_bytes()
        damage(path, rng.choice((rng.randrange(128), rng.randrange(len(original)))), how)
        if path.read_bytes() == original:
            continue
        caplog.clear()
        found = verified_arrays(folder, SHA256)
        # Some bytes of the header are padding; then the arrays are still the right ones.
        if found is not None:
            assert found.sha256() == SHA256
            assert how != "cut"
        else:
            assert "damaged" in caplog.text
        path.write_bytes(original)
    assert verified_arrays(folder, SHA256) is not None


def test_arrays_that_do_not_fit_together_are_not_opened(folder):
    store(ARRAYS, folder, "here")
    store(some_arrays(41), folder.with_name("other"), "here")
    folder.joinpath("y_test.npy").write_bytes(folder.with_name("other").joinpath("y_test.npy").read_bytes())
    with pytest.raises(DataError, match="do not fit together"):
        open_arrays(folder)


def test_a_missing_file_is_repaired_by_storing_again(folder, caplog):
    store(ARRAYS, folder, "here")
    folder.joinpath("y_train.npy").unlink()
    assert verified_arrays(folder, SHA256) is None
    assert "y_train.npy is missing" in caplog.text
    store(ARRAYS, folder, "here")
    assert verified_arrays(folder, SHA256) is not None


def test_maps_of_readers_survive_storing_again(folder):
    """Files are replaced, never written over: even other content does not reach an open map."""
    reader = store(ARRAYS, folder, "here")
    store(some_arrays(41), folder, "here")
    assert reader.sha256() == SHA256


def test_a_pickle_in_place_of_an_array_is_not_loaded(folder, tmp_path):
    store(ARRAYS, folder, "here")
    trap = tmp_path / "sprung"
    command = f"cos\nsystem\n(S'touch {trap}'\ntR."
    folder.joinpath("x_train.npy").write_bytes(command.encode())
    with pytest.raises(DataError, match="damaged"):
        open_arrays(folder)
    assert not trap.exists()


def test_the_note_on_the_source_may_be_lost_or_rubbish(folder):
    store(ARRAYS, folder, "here")
    folder.joinpath("source.txt").write_bytes(b"\xff\x1b[31mred\n" + b"x" * 10_000)
    assert source_of(folder).startswith("\N{REPLACEMENT CHARACTER}[31mredxxx")
    assert len(source_of(folder)) == 500
    folder.joinpath("source.txt").unlink()
    assert "unknown" in source_of(folder)


def test_a_folder_that_cannot_be_created_is_reported(tmp_path):
    (tmp_path / "cache").touch()
    with pytest.raises(DataError, match=r"cannot be written: .*--cache-dir or \$MNISTBENCH_CACHE"):
        store(ARRAYS, tmp_path / "cache" / "mine", "here")
    with pytest.raises(DataError, match="cannot be written"), staging_folder(tmp_path / "cache" / "mine"):
        pass


def test_what_killed_processes_left_is_swept_once_it_is_old(folder):
    store(ARRAYS, folder, "here")
    old, young, old_folder = (folder / f".staging-{name}" for name in ("old", "young", "folder"))
    old_folder.mkdir()
    for file in (old, young, old_folder / "part"):
        file.touch()
    two_days_ago = time.time() - 2 * 24 * 3600
    for path in (old, old_folder):
        os.utime(path, (two_days_ago, two_days_ago))
    store(ARRAYS, folder, "here")
    assert [path.name for path in folder.glob(".staging-*")] == [".staging-young"]


def test_a_staging_folder_goes_even_after_an_error(folder):
    def fail():
        with staging_folder(folder) as staging:
            (staging / "part").touch()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert list(folder.iterdir()) == []


STORE = """
import sys
import numpy as np
from mnistbench.datasets.arrays import Arrays
from mnistbench.datasets.cache import store
x, y = np.random.default_rng(0).integers(0, 256, (5000, 28, 28), dtype=np.uint8), np.arange(5000) % 3
arrays = Arrays(x, y, x[:500], y[:500])
print(arrays.sha256(), flush=True)
if sys.argv[3:]:
    import resource
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
from pathlib import Path
for _ in range(int(sys.argv[2])):
    store(arrays, Path(sys.argv[1]), "here")
"""


def storing(folder, times, *limited, **options):
    return subprocess.Popen(
        [sys.executable, "-c", STORE, str(folder), str(times), *limited],
        stdout=subprocess.PIPE,
        text=True,
        **options,
    )


@pytest.mark.parametrize("seed", range(4))
def test_a_process_killed_at_any_moment_leaves_no_corrupt_entry(folder, seed):
    with storing(folder, 10_000) as process:
        sha256 = process.stdout.readline().strip()
        time.sleep(random.Random(seed).uniform(0, 0.2))
        process.kill()
    found = verified_arrays(folder, sha256)
    assert found is None or found.sha256() == sha256
    assert all((folder / f"{name}.npy").exists() for name in ARRAY_NAMES) == (found is not None)
    with storing(folder, 1) as process:
        process.communicate()
    assert verified_arrays(folder, sha256) is not None


def test_concurrent_stores_disturb_neither_each_other_nor_a_reader(folder):
    with storing(folder, 1) as process:
        sha256 = process.communicate()[0].strip()
    writers = [storing(folder, 10) for _ in range(3)]
    checks = 0
    while any(writer.poll() is None for writer in writers):
        assert open_arrays(folder).sha256() == sha256
        checks += 1
    for writer in writers:
        writer.communicate()
        assert writer.returncode == 0
    assert checks > 0
    assert not list(folder.glob(".staging-*"))


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit on a file's size")
def test_a_full_disk_is_reported_and_leaves_no_partial_files(folder):
    """A limit on the file size stands in for a full disk: writing fails in mid-file all the same."""
    process = storing(folder, 1, "limited", stderr=subprocess.PIPE)
    _, errors = process.communicate()
    assert process.returncode == 1
    assert "DataError: The cache" in errors
    assert "cannot be written" in errors
    assert list(folder.iterdir()) == []


@pytest.fixture
def shared_folder():
    """A folder that other users can enter, unlike pytest's own."""
    import shutil
    import tempfile

    folder = Path(tempfile.mkdtemp(prefix="mnistbench-shared-"))
    folder.chmod(0o755)
    yield folder
    for inner in (folder, *folder.glob("*")):
        inner.chmod(0o755)  # only root removes what lies in a folder that may not be written
    shutil.rmtree(folder)


AS_OTHER_USER = """
import mmap, os, sys
from pathlib import Path
import numpy as np
from mnistbench.datasets.arrays import Arrays
from mnistbench.datasets.cache import store, verified_arrays
if os.geteuid() == 0:  # root may write anywhere, so become nobody
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
folder = Path(sys.argv[1])
x, y = np.zeros((2, 3, 3), dtype=np.uint8), np.arange(2)
"""


def as_other_user(statement, folder):
    """Run a statement in a process without root's rights; return its output, or its error."""
    process = subprocess.run(
        [sys.executable, "-c", AS_OTHER_USER + statement, str(folder)], capture_output=True, text=True
    )
    return process.stdout.strip() or process.stderr.strip().splitlines()[-1]


@pytest.mark.root
@pytest.mark.skipif(os.name != "posix", reason="needs POSIX users and permissions")
class TestSharedByUsers:
    """A second user, or one on a read-only disk, reads what is there; what is impossible is an error."""

    def test_a_read_only_cache_serves_what_it_holds(self, shared_folder):
        folder = shared_folder / "mine"
        store(ARRAYS, folder, "here")
        folder.chmod(0o555)
        assert as_other_user(f"print(verified_arrays(folder, {SHA256!r}).sha256())", folder) == SHA256

    def test_a_read_only_cache_that_must_be_written_is_reported(self, shared_folder):
        shared_folder.chmod(0o555)
        answer = as_other_user("store(Arrays(x, y, x, y), folder, 'here')", shared_folder / "mine")
        assert answer.startswith(
            f"mnistbench.errors.DataError: The cache {shared_folder / 'mine'} cannot be written: Permission"
        )
        assert "--cache-dir" in answer

    @pytest.mark.parametrize("closed", ["mine/x_test.npy", "mine"])
    def test_what_another_user_may_not_read_is_reported(self, shared_folder, closed):
        store(ARRAYS, shared_folder / "mine", "here")
        (shared_folder / closed).chmod(0)
        answer = as_other_user(f"verified_arrays(folder, {SHA256!r})", shared_folder / "mine")
        assert answer.startswith("mnistbench.errors.DataError: The cached array")
        assert "cannot be read: Permission denied. Ask its owner" in answer

    def test_what_one_user_stores_the_others_may_read(self, shared_folder):
        before = os.umask(0o022)
        try:
            store(ARRAYS, shared_folder / "mine", "here")
        finally:
            os.umask(before)
        for path in (shared_folder / "mine").iterdir():
            assert path.stat().st_mode & 0o777 == 0o644


def test_a_stop_signal_while_storing_leaves_no_partial_files(folder):
    with storing(folder, 10_000) as process:
        process.stdout.readline()
        time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        process.communicate()
    assert not list(folder.glob(".staging-*"))
