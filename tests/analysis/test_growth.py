"""How cost and accuracy grow, as a report says it, follows from the records alone."""

import dataclasses
import re

import pytest
from support.synthetic_runs import Model, make_run

from mnistbench.analysis.contents import read_contents
from mnistbench.analysis.growth import crossovers, families
from mnistbench.stats.growth import fit_law

SIZES = (600, 1200, 2400, None)  # of 6,000
MODELS = {"cnn": Model(0.02, 30), "svm": Model(0.04, 8), "rf": Model(0.2, 0.5)}


@pytest.fixture(scope="module")
def contents(tmp_path_factory):
    return read_contents(make_run(tmp_path_factory.mktemp("runs"), MODELS, train_sizes=SIZES, seeds=(0, 1)))


def with_accuracies(family, errors):
    """Return the family as if each size's rows had that many errors."""
    rows = []
    for row, count in zip(family.rows, errors, strict=True):
        scored = [
            dataclasses.replace(
                r, quality=dataclasses.replace(r.quality, accuracy=1 - count / 1000, error_count=count)
            )
            for r in row.records
        ]
        rows.append(dataclasses.replace(row, records=tuple(scored)))
    return dataclasses.replace(family, rows=tuple(rows))


def test_a_family_is_a_model_at_three_sizes_or_more(contents, tmp_path):
    assert [family.label for family in contents.families] == ["cnn", "svm", "rf"]
    assert contents.families[0].sizes == [600, 1200, 2400, 6000]
    two = read_contents(make_run(tmp_path, MODELS, train_sizes=(600, None)))
    assert (two.families, "growth" in two.tables, "growth" in two.frames) == ([], False, False)
    assert families([]) == []
    assert crossovers([]) == []


def test_parameters_and_threads_make_families_of_their_own(tmp_path):
    variants = {"svm": [{"C": 1}, {"C": 10}]}
    run = make_run(tmp_path, {"svm": Model()}, train_sizes=SIZES, threads=(1, 2), variants=variants)
    labels = {family.label for family in read_contents(run).families}
    assert labels == {f"svm (C={c}, {t})" for c in (1, 10) for t in ("1 thread", "2 threads")}


def test_the_table_has_the_law_of_the_recorded_times(contents):
    frame = contents.frames["growth"].set_index("row")
    timed = [
        (r.measurement.train_images, r.measurement.fit_seconds)
        for r in contents.records
        if r.trial.model == "svm"
    ]
    law = fit_law(*zip(*timed, strict=True))
    row = frame.loc["svm"]
    assert (row["exponent"], row["fixed_seconds"]) == (law.k, law.a)
    assert (row["exponent_low"], row["exponent_high"]) == (law.exponent.low, law.exponent.high)
    assert row["exponent_low"] - 1e-9 <= 1 <= row["exponent_high"] + 1e-2  # synthetic times are linear
    assert row["law"] == "holds"
    assert row["beyond_size"] == 24_000
    assert row["beyond_low"] <= row["beyond_accuracy"] <= row["beyond_high"]
    assert row["largest_rss_bytes"] == 612_000_000
    (cells,) = [cells for cells in contents.tables["growth"].cells() if cells[0] == "svm"]
    assert cells[3].startswith("holds within\N{NO-BREAK SPACE}")


def test_crossovers_are_those_of_clear_differences(contents):
    cnn, svm, _ = contents.families
    early = with_accuracies(svm, [100, 90, 80, 70])
    late = with_accuracies(cnn, [200, 120, 40, 20])  # as good between 1,200 and 2,400 images, on logarithms
    by_size, by_seconds = crossovers([late, early])
    assert by_size == (
        "From 600 training images svm is the most accurate; cnn overtakes it at about 1,600; "
        "no other overtakes it up to 6,000."
    )
    assert re.fullmatch(
        r"By time, svm is the most accurate at [\d.]+ s of training; "
        r"cnn overtakes it at [\d.]+ s of training\.",
        by_seconds,
    )
    unclear = with_accuracies(cnn, [101, 91, 79, 69])
    assert "cnn" not in crossovers([unclear, early])[0]
    assert "cnn" not in crossovers([unclear, early])[1]


def test_time_to_accuracy_is_the_least_over_sizes_with_or_without_a_curve(contents, tmp_path):
    frame = contents.frames["time_to_accuracy"].set_index("row")
    assert list(frame.index) == ["cnn", "svm", "rf"]
    smallest = [r for r in contents.records if r.trial.model == "svm" and r.trial.train_size == 600]
    times = sorted(r.measurement.fit_seconds for r in smallest)
    assert frame.loc["svm", "seconds_to_900"] == pytest.approx(sum(times) / 2)
    assert frame["seconds_to_900"].isna().tolist() == [False, False, True]
    curved = read_contents(make_run(tmp_path, MODELS, train_sizes=SIZES, seeds=(0, 1), learning=True))
    earlier = curved.frames["time_to_accuracy"].set_index("row")  # half the accuracy at a quarter of the time
    assert earlier.loc["cnn", "seconds_to_800"] <= frame.loc["cnn", "seconds_to_800"]
