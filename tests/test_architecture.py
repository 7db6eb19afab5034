"""The architecture diagram, executable: which module may import which."""

import ast
from pathlib import Path

import pytest
from support.fault_matrix import MATRIX
from support.python import loaded_by

TESTS = Path(__file__).parent
PACKAGE = TESTS.parent / "mnistbench"

# The diagram: each package, or file at the root, and those it rests on. It may import all that its arrows
# lead to, step by step.
ARROWS = {
    "__main__": {"cli"},
    "cli": {"verify", "execution", "report"},
    "verify": {"report", "analysis", "plan"},
    "report": {"analysis"},
    "execution": {"trial", "plan"},
    "trial": {"runs", "estimators"},
    "plan": {"runs"},
    "analysis": {"runs"},
    "runs": {"datasets", "stats", "machine"},
    **{ground: set() for ground in ("datasets", "stats", "machine", "estimators")},
}
EVERYWHERE = {"errors", "text"}
# The border between the parent process and the child: all else of `trial` is the child's.
ACROSS_THE_BORDER = {"mnistbench.trial.request", "mnistbench.trial.progress"}

# What a model file may import of the package: everything else is execution, which is none of its business.
FOR_MODELS = {"estimators"}
# Libraries that take long to import, and who may: the worker's side of the process border, and the report.
SLOW = {
    "sklearn": {"estimators"},
    "sklearnex": set(),
    "xgboost": {"estimators"},
    "keras": {"estimators"},
    "tensorflow": {"estimators"},
    "matplotlib": {"report"},
    "pandas": {"report", "analysis"},
    "scipy": {"stats", "analysis", "estimators"},
}


def imported(path: Path) -> set[str]:
    """Return every module that a file imports, at its top or within functions."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names.add(node.module or "")
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def at_import_time(path: Path) -> set[str]:
    """Return the top-level packages that importing the file imports."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = set()
    for node in tree.body:
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add((node.module or "").partition(".")[0])
    return names


def part(path: Path) -> str:
    """Name the module or subpackage of mnistbench that a file belongs to."""
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def sources() -> list[Path]:
    return [p for p in sorted(PACKAGE.rglob("*.py")) if part(p) != "__init__"]


def reachable(start: str) -> set[str]:
    """Return every package that arrows lead to from this one; in a circle this would not end."""
    return set().union(*({there} | reachable(there) for there in ARROWS.get(start, ())))


def test_every_package_has_its_place():
    assert {part(path) for path in sources()} == set(ARROWS) | EVERYWHERE
    assert not any(package in reachable(package) for package in ARROWS)


def test_the_listing_shows_the_architecture():
    packages = {path.parent for path in PACKAGE.glob("*/__init__.py")}
    assert len(packages) <= 10
    assert len(list(PACKAGE.glob("*.py"))) <= 6


@pytest.mark.parametrize("path", sources(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_follow_the_arrows(path):
    here = part(path)
    allowed = reachable(here) | EVERYWHERE | {here}
    there = {name.split(".")[1] for name in imported(path) if name.startswith("mnistbench.")}
    assert there & (set(ARROWS) | EVERYWHERE) <= allowed


@pytest.mark.parametrize("path", sources(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_the_parent_never_imports_the_child(path):
    if part(path) == "trial":
        return
    modules = {name for name in imported(path) if name.startswith("mnistbench.trial.")}
    across = {name for name in modules if any(name.startswith(crossing) for crossing in ACROSS_THE_BORDER)}
    assert modules == across
    assert not modules or part(path) == "execution"


@pytest.mark.parametrize("path", sources(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_slow_libraries_stay_where_they_belong(path):
    for library in at_import_time(path) & set(SLOW):
        assert part(path) in SLOW[library], f"{part(path)} imports {library} when it is imported"


@pytest.mark.parametrize(
    "path", sorted((PACKAGE.parent / "benchmarks").glob("[!_]*.py")), ids=lambda p: p.stem
)
def test_models_never_touch_execution(path):
    parts = {name.split(".")[1] for name in imported(path) if name.startswith("mnistbench.")}
    assert parts <= FOR_MODELS


def test_the_engine_names_no_model():
    models = {path.stem for path in (PACKAGE.parent / "benchmarks").glob("[!_]*.py")}
    for path in sources():
        strings = {
            node.value
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
        }
        named = (strings & models) - {"xgboost"}  # the library's own name, as environment.py lists it
        assert not named, f"{path.name} names the models {named}"


def test_no_function_is_long_or_takes_many_arguments():
    for path in sources():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for function in ast.walk(tree):
            if not isinstance(function, ast.FunctionDef):
                continue
            first = function.body[bool(ast.get_docstring(function)) :][:1]
            after_docstring = function.end_lineno - first[0].lineno + 1 if first else 0
            signature = function.body[0].lineno - function.lineno
            given = function.args
            parameters = len([*given.posonlyargs, *given.args, *given.kwonlyargs])
            # The options of a command and the parameters of an estimator stand one a line.
            is_free = part(path) == "cli" and path.stem.strip("_") == function.name
            is_free |= part(path) == "estimators" and function.name == "__init__"
            where = f"{path.relative_to(PACKAGE)}: {function.name}"
            assert after_docstring + (0 if is_free else signature) <= 60, f"{where} is longer than 60 lines"
            assert is_free or parameters <= 8, f"{where} has {parameters} parameters"


@pytest.mark.parametrize("command", [["--help"], ["list"], ["--version"]])
def test_the_command_line_starts_without_any_heavy_library(command):
    code = (
        f"from mnistbench.cli import main\nsys.argv = ['mnistbench', *{command!r}]\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
    )
    heavy = (
        "numpy",
        "pandas",
        "scipy",
        "sklearn",
        "tensorflow",
        "keras",
        "xgboost",
        "matplotlib",
        "pydantic",
    )
    assert loaded_by(code, *heavy) == set()


def test_every_test_that_the_fault_matrix_names_exists():
    named = {test.partition("[")[0] for rows in MATRIX.values() for _, _, *tests in rows for test in tests}
    for file, _, name in (test.partition("::") for test in sorted(named)):
        tree = ast.parse((TESTS / file).read_text(encoding="utf-8"))
        assert name in {getattr(node, "name", None) for node in ast.walk(tree)}, f"{file} has no {name}"


def test_no_test_file_imports_another():
    for path in TESTS.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            modules += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            assert not any(module.startswith(("test_", "tests")) for module in modules), path.name
