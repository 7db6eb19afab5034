"""The report in a terminal fits its width, shows what the page shows, and lets no name act."""

import io

import pytest
from rich.console import Console
from support.synthetic_runs import Model, dataset, make_run

from mnistbench.analysis.contents import read_contents
from mnistbench.report.terminal import rendered
from mnistbench.runs.records import Published
from mnistbench.text import count


def shown(folder, width):
    console = Console(width=width, file=io.StringIO(), color_system=None, highlight=False)
    for part in rendered(read_contents(folder), width):
        console.print(part)
    return console.file.getvalue()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    published = (Published(0.9906, "a table that somebody published"),)
    models = {"cnn": Model(0.02, 20, published=published), "svm": Model(0.05, 5), "forest": Model(0.3, 2)}
    return make_run(tmp_path_factory.mktemp("results"), models, seeds=(0, 1), serving=True, calibrated=True)


@pytest.mark.parametrize("width", [80, 120, 200])
def test_nothing_is_cut_off(folder, width):
    text = shown(folder, width)
    contents = read_contents(folder)
    assert max(map(len, text.splitlines())) <= width
    for name in ("results", "timings", "serving"):
        table = contents.tables[name]
        for row in table.rows():
            for column in table.columns:
                assert column.cell(row) in text, (name, column.name)
    assert "cnn is best" in " ".join(text.split())
    assert "[1] a table that somebody published." in " ".join(text.split())


def test_bars_show_the_errors_of_every_model(folder):
    bars = shown(folder, 80).partition("Wrong images")[2]
    lengths = {
        line.split()[0]: line.count("\N{FULL BLOCK}")
        for line in bars.splitlines()
        if line.split() and "\N{FULL BLOCK}" in line
    }
    assert lengths["cnn"] < lengths["svm"] < lengths["forest"] == 40


def test_bars_give_way_to_the_names_and_counts_in_a_narrow_terminal(folder):
    bars = shown(folder, 40).partition("Wrong images")[2].splitlines()[2:5]
    counts = {row.label: count(row.error_count) for row in read_contents(folder).rows}
    assert {line.split()[0]: line.split()[-1] for line in bars} == counts


def test_names_show_as_text(tmp_path):
    models = {"[red]x[/]\x1b[2J": Model(), "y": Model()}
    text = shown(make_run(tmp_path, models, data=dataset(test_count=50)), 80)
    assert "\x1b" not in text
    assert "[red]x[/]" in text


def test_a_run_without_results_is_displayed_too(tmp_path):
    text = shown(make_run(tmp_path, {"cnn": Model(statuses=(None,))}), 80)
    assert "No trial has ended yet" in text
