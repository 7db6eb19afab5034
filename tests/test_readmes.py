"""What the READMEs say holds: their tables, links, commands and examples."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from mnistbench.cli import app
from mnistbench.plan.models import read_model_file

ROOT = Path(__file__).parent.parent
PAGES = ["README.md", *(f"{folder}/README.md" for folder in ("benchmarks", "results", "mnistbench"))]
PAGES += [".github/CONTRIBUTING.md", "results/reference/attempts.md"]

# The source distribution has no results, and the READMEs show those.
pytestmark = pytest.mark.skipif(not (ROOT / "results/reference").is_dir(), reason="no reference runs here")


def text_of(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def code_of(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def without_code(text: str) -> str:
    return re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)


def anchors(text: str) -> set[str]:
    """Return the anchors that GitHub gives to the headings of a page."""
    headings = re.findall(r"^#+ (.*)$", without_code(text), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("readme_script", ROOT / ".ci/readme.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_table_is_the_one_that_the_code_and_the_reference_runs_give():
    answer = subprocess.run(
        [sys.executable, ".ci/readme.py", "--check"], cwd=ROOT, capture_output=True, text=True
    )
    assert (answer.returncode, answer.stderr) == (0, "")


def test_every_table_appears_once(script):
    shown = [match["name"] for page in script.READMES for match in script.MARKED.finditer(text_of(page))]
    assert sorted(shown) == sorted(script.TABLES)


def test_a_stale_table_is_replaced_and_an_unknown_one_refused(script):
    stale = "before\n<!-- table: advice -->\nstale\n<!-- end of table: advice -->\nafter\n"
    fresh = script.filled(stale)
    assert fresh.startswith("before\n<!-- table: advice -->\n| code | finding |")
    assert "stale" not in fresh
    assert fresh.endswith("<!-- end of table: advice -->\nafter\n")
    with pytest.raises(SystemExit, match="no table named 'prices'; there are standard, fashion-mnist"):
        script.filled(stale.replace("advice", "prices"))


def test_a_cell_may_hold_a_bar(script):
    assert script.table(["a"], [["x|y"]]) == "| a |\n| --- |\n| x\\|y |\n"


def test_the_architecture_lists_every_package_and_file():
    table = text_of("mnistbench/README.md").partition("## The packages")[2].partition("\n## ")[0]
    listed = {
        name.rstrip("/") for name in re.findall(r"`([a-z_]+(?:/|\.py))`", re.sub(r"`dask/`", "", table))
    }
    there = {path.name for path in (ROOT / "mnistbench").iterdir() if path.is_dir() or path.suffix == ".py"}
    assert listed >= {name for name in there if not name.startswith("_")}
    assert listed <= there


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", text_of(page)):
        if target.startswith("http"):
            continue
        path, _, anchor = target.partition("#")
        there = (ROOT / page).parent / path if path else ROOT / page
        assert there.exists(), f"{page} links to {target}"
        if anchor:
            assert anchor in anchors(there.read_text(encoding="utf-8")), f"{page} links to {target}"


@pytest.mark.parametrize("page", PAGES)
def test_every_command_and_option_exists(page):
    program = typer.main.get_command(app)
    text = re.sub(r"<!-- table: .*?<!-- end of table: [^\n]*", "", text_of(page), flags=re.DOTALL)
    code = [*code_of(text, "sh"), *re.findall(r"`([^`\n]+)`", without_code(text))]
    for line in "\n".join(code).splitlines():
        words = re.sub(r"#.*", "", line).split()
        if words[:1] == ["mnistbench"] and len(words) > 1:
            command = program if words[1].startswith("-") else program.commands[words[1]]
            options = {option for parameter in command.params for option in parameter.opts}
            used = {word.partition("=")[0] for word in words if word.startswith("--")}
            assert used <= options | {"--help"}, line
        elif words[:1] == ["make"] and len(words) > 1:
            assert re.search(rf"^{re.escape(words[1])}:", text_of("Makefile"), re.MULTILINE), line


def test_the_example_model_is_one(tmp_path):
    (source,) = code_of(text_of("README.md"), "python")
    path = tmp_path / "neighbours.py"
    path.write_text(source, encoding="utf-8")
    model = read_model_file(path)
    assert (model.problem, model.summary) == (None, "k nearest neighbours, weighted by distance.")
    assert (model.parameters, model.supplied) == ({"k": 3, "weights": "distance"}, ("threads",))
    names: dict[str, object] = {}
    exec(source, names)
    assert names["build"](threads=1).n_neighbors == 3


@pytest.mark.slow
def test_the_python_example_works():
    (example,) = code_of(text_of("mnistbench/README.md"), "python")
    answer = subprocess.run([sys.executable, "-c", example], cwd=ROOT, capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr
    assert "is best" in answer.stdout
    assert "logreg" in answer.stdout
