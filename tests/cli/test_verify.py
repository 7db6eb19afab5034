"""verify as a user types it."""

import shutil


def test_verify_passes_a_real_run_against_its_data_set(ran):
    answer = ran("verify", "results")
    assert (answer.returncode, answer.stderr) == (0, "")
    assert "one: verified: 2 trials, 2 sets of predictions, and all" in answer.stdout
    assert "note" not in answer.stdout


def test_verify_reports_an_unavailable_data_set(ran):
    shutil.rmtree(ran.place / "cache")
    answer = ran("verify", "one")
    assert answer.returncode == 1
    assert "verified" not in answer.stdout
    assert "one: bars is not in the cache" in answer.stderr
    assert "add --without-dataset" in answer.stderr
    skipped = ran("verify", "one", "--without-dataset")
    assert skipped.returncode == 0, skipped.stderr
    assert "one: note: bars is not in the cache" in skipped.stdout
    assert "one: verified" in skipped.stdout


def test_verify_fails_with_a_line_for_each_difference(ran):
    run = ran.results / "one"
    table = run / "tables" / "results.csv"
    table.write_text(table.read_text().replace("nearest", "NEAREST"))
    next(run.glob("figures/*.svg")).unlink()
    answer = ran("verify", "one")
    assert answer.returncode == 1
    assert answer.stdout == ""
    lines = answer.stderr.splitlines()
    assert len(lines) == 2
    assert all(line.startswith("mnistbench: one: ") for line in lines)
    assert "Traceback" not in answer.stderr
