"""The other formats say what the pages say, and no name can break them."""

import io
import json
import shutil
import subprocess

import pandas as pd
import pytest
from support.synthetic_runs import Model, dataset, make_run

from mnistbench.analysis.contents import read_contents
from mnistbench.report import stored_formats, write_report
from mnistbench.report.exports import json_file, latex_file, parquet_files
from mnistbench.verify import verify

NASTY = r"a_b & 50% $x$ #1 {y} ~z ^ \end{table} <i> | " + "\x1b[31m"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    models = {"cnn": Model(0.02, 20), NASTY: Model(0.05, probabilities=False, summary=NASTY)}
    return make_run(tmp_path_factory.mktemp("results"), models, data=dataset(test_count=100), seeds=(0, 1))


def test_json_holds_every_frame(folder):
    contents = read_contents(folder)
    document = json.loads(json_file(contents))
    assert document["headline"] == contents.headline
    assert set(document["frames"]) == set(contents.frames)
    rows = {row["id"]: row for row in document["frames"]["trials"]}
    for record in folder.records():
        assert rows[record.trial.id]["accuracy"] == pytest.approx(record.quality.accuracy, rel=1e-14)
        assert rows[record.trial.id]["split"] == "test"
    nasty = next(row for row in document["frames"]["results"] if row["row"] != "cnn")
    assert nasty["row"] == NASTY
    assert nasty["log_loss"] is None


def test_parquet_holds_every_frame(folder):
    contents = read_contents(folder)
    files = parquet_files(contents)
    assert set(files) == set(contents.frames)
    assert NASTY in pd.read_parquet(io.BytesIO(files["results"]))["row"].tolist()
    trials = pd.read_parquet(io.BytesIO(files["trials"]))
    assert trials["accuracy"].tolist() == contents.frames["trials"]["accuracy"].tolist()


def test_latex_shows_any_name_as_text(folder):
    text = latex_file(read_contents(folder)).decode()
    assert r"a\_b \& 50\% \$x\$ \#1 \{y\} \textasciitilde{}z" in text
    assert r"\textbackslash{}" in text
    assert "\x1b" not in text
    assert text.count(r"\begin{table}") == text.count(r"\end{table}") == len(read_contents(folder).tables)
    assert text.count(r"\toprule") == text.count(r"\bottomrule")


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_latex_compiles(folder, tmp_path):
    (tmp_path / "tables.tex").write_bytes(latex_file(read_contents(folder)))
    document = r"\documentclass{article}\usepackage[T1]{fontenc}\usepackage{textcomp,booktabs}"
    document += r"\begin{document}\input{tables.tex}\end{document}"
    (tmp_path / "paper.tex").write_text(document)
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper.tex"]
    answer = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert answer.returncode == 0, answer.stdout[-2000:]


def test_what_was_written_once_stays_up_to_date_and_is_verified(tmp_path):
    folder = make_run(tmp_path, {"cnn": Model()}, data=dataset(test_count=50))
    write_report(folder, None, ["json", "latex", "parquet"])
    assert stored_formats(folder) == ["json", "latex", "parquet"]
    first = (folder.path / "exports" / "report.json").read_bytes()
    (folder.path / "exports" / "report.json").write_bytes(b"{}")
    found = verify(folder, cache=tmp_path / "cache").differences
    assert any("exports/report.json" in line for line in found)
    write_report(folder, None)
    assert (folder.path / "exports" / "report.json").read_bytes() == first
    assert verify(folder, cache=tmp_path / "cache").differences == ()
