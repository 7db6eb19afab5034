"""Where a run knows who wrote its images, intervals, tests and pages go by writer; else the page says so."""

import re

import numpy as np
import pandas as pd
import pytest
from support.synthetic_runs import Model, dataset, make_run

from mnistbench.analysis.changes import compare
from mnistbench.analysis.contents import read_contents
from mnistbench.datasets.splits import EvaluationGroups
from mnistbench.report import write_report, write_side_by_side
from mnistbench.report.changes import sections
from mnistbench.stats.accuracy import accuracy_estimate
from mnistbench.stats.groups import clustering
from mnistbench.stats.pairs import paired_test
from mnistbench.text import three_digits

MODELS = {"svm": Model(0.04, 10, probabilities=False), "logreg": Model(0.12, 5)}
KNOWN = {"groups_sha256": "0" * 64, "group_noun": "writer", "strata": ("employees", "students")}
# Neighbours share a writer; the first 40 of 125 are employees.
WRITERS = np.arange(1000) // 8 + 300


def groups(**changes):
    given = {"ids": WRITERS, "strata": (WRITERS >= 340).astype(int), "trained_on": WRITERS < 0, **changes}
    return EvaluationGroups(**given)


def grouped(place, name="run", known=None, **more):
    return make_run(place, MODELS, name=name, data=dataset(**KNOWN), groups=known or groups(), **more)


def correct(folder, model):
    truth = folder.true_labels()
    trials = [trial for trial in folder.info().trials if trial.model == model]
    return np.array([folder.predictions(trial.id).labels == truth for trial in trials])


@pytest.mark.parametrize("seeds", [(0,), (0, 1, 2)])
def test_every_interval_and_test_is_by_writer(tmp_path, seeds):
    folder = grouped(tmp_path, seeds=seeds)
    page = write_report(folder, None).read_text(encoding="utf-8")
    frame = pd.read_csv(folder.path / "tables" / "results.csv").set_index("row")
    assert "1,000 images, worth" in page
    for model in MODELS:
        right = correct(folder, model)
        found = clustering(right, WRITERS)
        expected = accuracy_estimate((~right).sum(axis=1).tolist(), 1000, found)
        assert found.groups == 125
        assert frame.loc[model, "effective_images"] == pytest.approx(1000 / found.design_effect)
        assert frame.loc[model, "sampling_low"] == pytest.approx(expected.sampling.low)
        assert f" {three_digits(expected.effective_count)} |" in page
    (pair,) = pd.read_csv(folder.path / "tables" / "pairs.csv").to_dict("records")
    test = paired_test("svm", correct(folder, "svm"), "logreg", correct(folder, "logreg"), WRITERS)
    assert pair["method"] == test.method
    assert pair["p_value"] == pytest.approx(test.p_value)
    assert "exact sign flips of whole writers" in page
    assert "intervals and tests are by writer" in page
    assert "McNemar" not in page
    assert "as independent" not in page


@pytest.mark.parametrize(("name", "is_mnist"), [("mnist", True), ("digits", False)])
def test_one_sentence_says_that_images_are_taken_as_independent(tmp_path, name, is_mnist):
    folder = make_run(tmp_path, MODELS, data=dataset(name=name))
    write_report(folder, None)
    for page in ("report.md", "report.html"):
        text = (folder.path / page).read_text(encoding="utf-8")
        assert text.count("take images as independent") == 1
        assert ("too narrow for MNIST" in text) == is_mnist
        assert "images, worth" not in text
        assert "Errors by" not in text
    assert not (folder.path / "tables" / "groups.csv").exists()


def test_a_group_that_spans_strata_is_named_without_one(tmp_path):
    spread = groups(strata=np.where(WRITERS == 300, np.arange(1000) % 2, 1))
    contents = read_contents(grouped(tmp_path, known=spread))
    strata = contents.frames["groups"].groupby("group")["stratum"].first()
    assert pd.isna(strata[300])
    assert set(strata.drop(300)) == {"students"}
    names = [each.name for each in contents.by_group.hardest]
    assert all(("students" in name) != ("writer 300 " in name) for name in names)


def test_the_errors_of_writers_and_of_both_series_are_those_of_the_predictions(tmp_path):
    folder = grouped(tmp_path, seeds=(0, 1))
    frame = read_contents(folder).frames["groups"].set_index(["row", "group"])
    for model in MODELS:
        wrong = ~correct(folder, model)
        assert len(frame.loc[model]) == 125
        assert frame.loc[(model, 307), "error_count"] == wrong[:, 56:64].sum() / 2
        assert frame.loc[(model, 307), "images"] == 8
        assert frame.loc[(model, 340), "stratum"] == "students"
        shown = read_contents(folder).by_group.result
        (cells,) = [row for row in shown.cells() if row[0] == model]
        assert cells[1].startswith(f"{100 * wrong[:, :320].mean():.1f} (")
        assert cells[2].startswith(f"{100 * wrong[:, 320:].mean():.1f} (")
        by_writer = wrong.reshape(2, 125, 8).sum(axis=2)
        assert cells[3] == f"{100 * (by_writer == 0).mean():.0f}"
        most = np.sort(by_writer.sum(axis=0))[::-1]
        half = int(cells[4])
        assert most[:half].sum() >= wrong.sum() / 2 > most[: half - 1].sum()


def test_the_hardest_writers_are_shown_with_the_images_that_are_misread(tmp_path):
    folder = grouped(tmp_path)
    rates = np.mean([~correct(folder, model)[0] for model in MODELS], axis=0).reshape(125, 8).mean(axis=1)
    hardest = read_contents(folder).by_group.hardest
    assert f"writer {300 + int(rates.argmax())}, " in hardest[0].name
    assert f"({100 * rates.max():.0f} % of 8 images)" in hardest[0].name
    for each in hardest:
        writer = int(re.search(r"writer (\d+)", each.name)[1])
        assert {int(WRITERS[image]) for image in each.images} == {writer}
        assert not all(correct(folder, model)[0, each.images].all() for model in MODELS)
    write_report(folder, None)
    html = (folder.path / "report.html").read_text(encoding="utf-8")
    assert f"Hardest writers: {hardest[0].name}" in html
    assert f'aria-label="Image {hardest[0].images[0]}, {hardest[0].name}"' in html


@pytest.mark.parametrize(
    ("shared", "sentence"),
    [(0, "None of the 125 writers has training images too."),
     (5, "5 of the 125 writers have training images too, which flatters the models.")],
)  # fmt: skip
def test_the_page_says_how_many_writers_were_trained_on(tmp_path, shared, sentence):
    known = groups(trained_on=300 + shared > WRITERS)
    page = write_report(grouped(tmp_path, known=known, split="validation"), None)
    assert sentence in page.read_text(encoding="utf-8")


def test_one_kind_of_group_has_no_columns_of_its_own(tmp_path):
    data = dataset(groups_sha256="0" * 64)
    folder = make_run(tmp_path, MODELS, data=data, groups=groups(strata=np.zeros(1000, dtype=int)))
    headings = [column.heading for column in read_contents(folder).by_group.result.columns]
    assert headings == ["model", "groups without error, %", "groups with half of the errors"]
    assert "exact sign flips of whole groups" in write_report(folder, None).read_text(encoding="utf-8")


def test_a_run_with_writers_lends_them_to_an_older_one_of_the_same_images(tmp_path):
    old, new = make_run(tmp_path, MODELS, name="old", data=dataset()), grouped(tmp_path, "new", seeds=(1,))
    for comparison in (compare(old, new), compare(new, old)):
        for change in comparison.changes:
            assert change.accuracy.method == "exact sign flips"
            assert change.accuracy.variation.groups == 125
        assert "exact sign flips of whole writers" in str(sections(comparison))
    text = write_side_by_side([old, new], tmp_path / "both").read_text(encoding="utf-8")
    assert "(exact sign flips of whole writers where all seeds agree)" in text
    assert "exact McNemar test" in str(sections(compare(old, old)))
