"""The file through which a trial's process tells what it is doing."""

import pytest

from mnistbench.trial.progress import Progress, read_progress


def test_it_is_written_whole_and_not_too_often(tmp_path):
    path = tmp_path / "progress.json"
    progress = Progress(path)
    progress.phase("fit")
    for done in range(1, 1000):
        progress.step(done, 1000, "epoch")
    assert read_progress(path).get("done", 0) < 999
    progress.step(1000, 1000, "epoch")
    assert read_progress(path) == {"phase": "fit", "done": 1000, "total": 1000, "unit": "epoch"}
    assert [p.name for p in tmp_path.iterdir()] == ["progress.json"]


def test_what_cannot_be_written_stops_nothing(tmp_path):
    Progress(tmp_path / "gone" / "progress.json").phase("fit")


@pytest.mark.parametrize("content", [None, b"", b'{"phase": "fi', b"[1, 2]", b"\xff\xfe"])
def test_absent_or_damaged_progress_is_read_as_none(tmp_path, content):
    path = tmp_path / "progress.json"
    if content is not None:
        path.write_bytes(content)
    assert read_progress(path) == {}
