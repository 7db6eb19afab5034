"""`report.html` says what the records say, in one file that loads nothing and that no name can break."""

import base64
import hashlib
import html
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from support import chromium
from support.shell import Shell
from support.synthetic_runs import Model, arrays, dataset, make_run, run_with

from mnistbench.analysis.configurations import configurations
from mnistbench.datasets.arrays import Arrays
from mnistbench.datasets.cache import store
from mnistbench.report import write_report
from mnistbench.runs.folder import find_run
from mnistbench.runs.records import Status
from mnistbench.text import duration, percent, three_digits

MODELS = {"cnn": Model(0.01, 14), "svm": Model(0.03, 60, probabilities=False), "logreg": Model(0.1, 9)}
VOID = {"meta", "link", "img", "input", "br", "hr"}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """Keep each test's data sets to itself."""
    monkeypatch.setenv("MNISTBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


class Page(HTMLParser):
    """What a page holds: every tag with its attributes, its scripts, its text, and tags left open."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags, self.scripts, self.open, self.text = [], [], [], ""
        self.source = path.read_text(encoding="utf-8")
        self.feed(self.source)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "script":
            self.scripts.append((dict(attrs).get("type"), ""))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1:] == ["script"]:
            kind, text = self.scripts[-1]
            self.scripts[-1] = (kind, text + data)
        elif self.open[-1:] != ["style"]:
            self.text += data

    @property
    def data(self):
        return json.loads(next(text for kind, text in self.scripts if kind == "application/json"))


def written(folder) -> Page:
    write_report(folder, None)
    page = Page(folder.path / "report.html")
    assert page.open == []
    return page


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """A run of three models, and its page."""
    folder = make_run(tmp_path_factory.mktemp("plain"), MODELS)
    return folder, written(folder)


def test_it_loads_nothing_runs_its_own_scripts_alone_and_no_two_figures_share_an_id(plain):
    _, page = plain
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    for tag, attributes in page.tags:
        for name in ("src", "href", "srcset", "action", "poster"):
            assert attributes.get(name, "#").startswith(("#", "data:")), (tag, attributes)
        assert not any(name.startswith("on") for name in attributes)
    policy = next(a["content"] for t, a in page.tags if t == "meta" and "http-equiv" in a)
    assert "default-src 'none'" in policy
    assert "unsafe-eval" not in policy
    (run,) = [text for kind, text in page.scripts if kind == "module"]
    digest = base64.b64encode(hashlib.sha256(run.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy
    assert "http://" not in re.sub(r"http://www\.w3\.org[\w/.-]*", "", page.source.split("<script")[0])


def titles(page: Page, chart: str) -> list[str]:
    """Return what a chart shows where it is pointed at, its markers in the order drawn."""
    drawn = re.search(
        rf'data-time="{chart.partition("-")[2]}">(<svg(?:(?!</svg>).)*id="{chart}-.*?)</svg>',
        page.source,
        re.S,
    )
    return [html.unescape(title) for title in re.findall(r"<use[^>]*><title>(.*?)</title>", drawn[1])]


def test_its_numbers_are_those_of_the_records(plain):
    folder, page = plain
    for chart in ("accuracy-fit", "accuracy-predict"):
        assert sorted(titles(page, chart)) == sorted(
            f"{r.trial.model}: {percent(r.quality.accuracy, 1000)} % right "
            f"({r.quality.error_count} of 1,000 wrong), training {duration(r.measurement.fit_seconds)}, "
            f"predicting {duration(r.measurement.predict_seconds)}"
            for r in folder.records()
        )
    for chart in ("timings-fit", "timings-predict"):
        assert sorted(titles(page, chart)) == sorted(
            f"{r.trial.model}, seed 0, repetition 0: training {duration(r.measurement.fit_seconds)}, "
            f"predicting {duration(r.measurement.predict_seconds)}"
            for r in folder.records()
        )
    for record in folder.records():
        assert f"{percent(record.quality.accuracy, 1000)} (" in page.text
        assert re.search(rf"\b{re.escape(three_digits(record.measurement.fit_seconds))}\b", page.text)


def test_the_images_behind_the_cells_are_the_mistakes(tmp_path):
    images = arrays()
    folder = run_with(tmp_path, images, MODELS)
    store(images, tmp_path / "cache" / "mnist", "a test")
    data = written(folder).data
    rows = configurations(folder.info(), folder.records())
    for row, behind in zip(rows, data["mistakes"], strict=True):
        predicted = folder.predictions(row.by_seed[0].trial.id).labels
        listed = {(image, key) for key, cell in behind.items() for image, _, _ in cell}
        assert listed == {
            (int(i), f"{images.y_test[i]}/{predicted[i]}") for i in np.flatnonzero(predicted != images.y_test)
        }
        assert all(str(image) in data["place"] for image, _ in listed)


def test_the_markdown_report_has_a_contact_sheet_of_each_model(tmp_path, cache):
    images = arrays()
    folder = run_with(tmp_path, images, MODELS)
    store(images, cache / "mnist", "made by the tests")
    text = write_report(folder, None).read_text(encoding="utf-8")
    for model in MODELS:
        assert f"(figures/mistakes-{model}.svg)" in text
        drawn = (folder.path / "figures" / f"mistakes-{model}.svg").read_text(encoding="utf-8")
        assert (
            drawn.count("<image")
            == len(re.findall(r">\d as \d</text>", drawn))
            == min(12, wrong(folder, model))
        )
    assert "%</text>" in drawn
    bare = run_with(tmp_path / "bare", arrays(100), MODELS)
    assert "mistakes-" not in write_report(bare, None).read_text(encoding="utf-8")


def wrong(folder, model):
    return next(r.quality.error_count for r in folder.records() if r.trial.model == model)


def test_the_same_run_gives_the_same_bytes_with_and_without_its_data_set(tmp_path):
    images = arrays()
    folder = run_with(tmp_path, images, MODELS)
    bare = written(folder).source
    assert "pictures are not in this report" in bare
    store(images, tmp_path / "cache" / "mnist", "a test")
    full = written(folder).source
    assert "pictures are not in this report" not in full
    for name in ("x_test", "y_test", "x_train", "y_train"):
        (tmp_path / "cache" / "mnist" / f"{name}.npy").unlink()
    assert written(folder).source == full


HOSTILE = "x</script><img src=x onerror=alert(1)>\x1b[31m\u202e"


def test_names_are_text(tmp_path):
    models = {
        HOSTILE: Model(summary=HOSTILE, warnings=(HOSTILE,)),
        "b": Model(0.2, statuses=(Status.FAILED,)),
    }
    data = dataset(test_count=50, name=HOSTILE, title=HOSTILE, source=HOSTILE, licence=HOSTILE)
    page = written(make_run(tmp_path, models, data=data, command=("run", HOSTILE)))
    assert [tag for tag, _ in page.tags].count("script") == 2
    assert not any(a.get("src") == "x" or "onerror" in a for _, a in page.tags)
    assert "\x1b" not in page.source
    assert "\u202e" not in page.source
    assert "x</script><img src=x onerror=alert(1)>\\x1b[31m\\u202e" in page.text


def test_many_classes_are_listed_in_place_of_a_matrix(tmp_path):
    data = dataset(tuple(range(0, 600, 6)), test_count=1000)
    page = written(make_run(tmp_path, {"a": Model(0.3)}, data=data))
    assert "Most frequent confusions" in page.text
    assert not any(a.get("class") == "confusion" for _, a in page.tags)


@pytest.mark.slow
def test_six_models_on_ten_thousand_images_take_less_than_three_megabytes(tmp_path):
    draw = np.random.default_rng(3)
    base = arrays(10_000, (1, 1))
    # Noise does not compress: no data set of this shape can take more room.
    images = Arrays(
        draw.integers(0, 256, (60_000, 28, 28), dtype=np.uint8),
        base.y_train,
        draw.integers(0, 256, (10_000, 28, 28), dtype=np.uint8),
        base.y_test,
    )
    store(images, tmp_path / "cache" / "mnist", "a test")
    models = {
        name: Model(rate) for name, rate in zip("abcdef", (0.005, 0.015, 0.02, 0.02, 0.03, 0.08), strict=True)
    }
    folder = run_with(tmp_path, images, models)
    assert len(written(folder).source.encode()) < 3_000_000


# ---- in a real browser


@pytest.fixture(scope="module")
def real_run(tmp_path_factory):
    """A run of the command line on scikit-learn's digits: two models that work, and one that fails."""
    shell = Shell.made(tmp_path_factory.mktemp("real"))
    models = ("--models", shell.models, "--only", "scaling,nearest,raises_in_import")
    answer = shell("run", "--dataset", "digits", *models, "--seeds", "0-2")
    assert answer.returncode == 1, answer.stderr  # one model fails
    return find_run(shell.results, None)


@pytest.fixture(scope="module")
def browser():
    if chromium.CHROMIUM is None:
        pytest.skip("there is no Chromium here")
    with chromium.browser() as started:
        yield started


def cell_texts(page, column: int) -> list[str]:
    return page.eval_on_selector_all(
        "#results-table tbody tr:not([hidden])", f"rows => rows.map(row => row.cells[{column}].textContent)"
    )


@pytest.mark.slow
def test_in_a_browser_the_numbers_are_those_of_the_records(browser, real_run):
    rows = configurations(real_run.info(), real_run.records())
    with chromium.opened(browser, real_run.path / "report.html") as (page, complaints):
        assert cell_texts(page, 0) == [row.label for row in rows]
        images = rows[0].test_count
        for shown, row in zip(cell_texts(page, 1), rows, strict=True):
            if row.accuracy is not None:
                assert shown.startswith(f"{percent(row.accuracy, images)} (")
        assert page.locator("[data-time=fit] svg use title").count() == 2 + 6  # models, and their trials
    assert complaints == []


@pytest.mark.slow
def test_in_a_browser_the_table_sorts_and_filters(browser, real_run):
    with chromium.opened(browser, real_run.path / "report.html") as (page, complaints):
        heading = page.locator("#results-table thead th", has_text="wrong images")
        heading.locator("button").click()
        assert heading.get_attribute("aria-sort") == "ascending"
        up = cell_texts(page, 0)
        heading.locator("button").press("Enter")
        assert heading.get_attribute("aria-sort") == "descending"
        down = cell_texts(page, 0)
        assert page.locator("#results-table [aria-sort]").count() == 1
        assert up[-1] == down[-1] == "raises_in_import"  # it has no number, so it comes last either way
        assert up[:-1] == down[:-1][::-1]
        page.fill("#filter", "NEAR")
        assert cell_texts(page, 0) == ["nearest"]
        assert page.text_content("#filtered") == "1 of 3 rows"
        page.fill("#filter", "")
        assert len(cell_texts(page, 0)) == 3
    assert complaints == []


@pytest.mark.slow
def test_in_a_browser_a_cell_shows_the_images_behind_it(browser, real_run):
    with chromium.opened(browser, real_run.path / "report.html") as (page, complaints):
        before = page.evaluate("document.documentElement.scrollHeight")
        button = page.locator("button[data-cell]").first
        button.focus()
        page.keyboard.press("Enter")
        assert button.get_attribute("aria-pressed") == "true"
        behind = page.locator(".behind").first
        count = int(button.text_content())
        actual, predicted = button.get_attribute("data-cell").split("/")
        assert f"True {actual}, predicted {predicted}" in behind.text_content()
        assert 1 <= behind.locator(".picture").count() <= count
        assert behind.locator(".picture.none").count() == 0
        assert page.evaluate("document.documentElement.scrollHeight") == before  # nothing jumps
    assert complaints == []


@pytest.mark.slow
def test_in_a_browser_the_charts_change_their_time_and_name_their_points(browser, real_run):
    labels = {row.label for row in configurations(real_run.info(), real_run.records()) if row.by_seed}
    with chromium.opened(browser, real_run.path / "report.html") as (page, complaints):
        for chart in ("#against-time", "#time"):
            for chosen, other in (("fit", "predict"), ("predict", "fit"), ("fit", "predict")):
                page.locator(f"{chart} input[value={chosen}]").focus()
                page.keyboard.press("Space")
                assert page.locator(f"{chart} [data-time={chosen}]").is_visible()
                assert page.locator(f"{chart} [data-time={other}]").is_hidden()
            named = page.locator(f"{chart} [data-time=fit] use title").all_text_contents()
            assert {re.split("[:,]", title)[0] for title in named} == labels
            assert all("predicting" in title for title in named)
            marker = page.locator(f"{chart} [data-time=fit] use:has(title)").last
            marker.hover()  # refused if something else lies on it
    assert complaints == []


@pytest.mark.slow
@pytest.mark.skipif(
    not chromium.AXE.is_file(), reason="axe-core is not here; `make browser-tests` installs it with npm"
)
@pytest.mark.parametrize(
    "way", [{}, {"dark": True}, {"width": 390, "height": 844}], ids=["light", "dark", "phone"]
)
def test_in_a_browser_it_is_accessible(browser, real_run, way):
    with chromium.opened(browser, real_run.path / "report.html", **way) as (page, _):
        page.locator("button[data-cell]").first.click()
        page.evaluate(chromium.AXE.read_text(encoding="utf-8"))
        found = page.evaluate("axe.run()")
        violations = [
            f"{each['id']}: {each['help']}: {[n['target'] for n in each['nodes'][:3]]}"
            for each in found["violations"]
        ]
        assert violations == []
        assert len(found["passes"]) > 20
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
