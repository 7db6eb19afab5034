"""Model files are read, never run; whatever is wrong with one is a problem of that file alone."""

import hashlib
import os
import runpy
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.python import loaded_by

from mnistbench.errors import UsageError, unknown
from mnistbench.plan.models import builtin_folder, discover, read_model_file, sources_digest
from mnistbench.runs.json import plain_value


def written(folder: Path, source: str | bytes, name: str = "model.py") -> Path:
    path = folder / name
    path.write_bytes(source if isinstance(source, bytes) else source.encode())
    return path


def test_a_model_is_read_without_being_run(tmp_path):
    source = (
        '"""Nearest neighbours, by distance.\n\nMore of it."""\n'
        "import no_such_library\n"
        "raise SystemExit('this file was run')\n"
        "def build(seed, k=5, *, threads, weights='distance', sizes=[1, (2, 3)], tol=-1e-3, flag=None): ...\n"
    )
    path = written(tmp_path, source)
    model = read_model_file(path)
    assert model.problem is None
    assert model.name == "model"
    assert model.path == path
    assert model.sha256 == hashlib.sha256(source.encode()).hexdigest()
    assert model.summary == "Nearest neighbours, by distance."
    assert model.supplied == ("seed", "threads")
    assert model.parameters == {
        "k": 5,
        "weights": "distance",
        "sizes": (1, (2, 3)),
        "tol": -1e-3,
        "flag": None,
    }


@pytest.mark.parametrize("call", ["partial", "functools.partial"])
def test_the_keywords_of_a_partial_function_are_its_defaults_as_in_python(tmp_path, call):
    source = (
        "import functools\n"
        "from functools import partial\n"
        "def recipe(seed, depth, width=8, rate=0.1, **training): return (depth, width, rate, training)\n"
        f"build = {call}(recipe, epochs=2, depth=3, width=16, sizes=(1, 2))\n"
    )
    path = written(tmp_path, source)
    model = read_model_file(path)
    assert model.problem is None
    assert model.supplied == ("seed",)
    assert model.parameters == {"rate": 0.1, "epochs": 2, "depth": 3, "width": 16, "sizes": (1, 2)}
    build = runpy.run_path(str(path))["build"]
    assert build(seed=0) == build(seed=0, **model.parameters)


def test_a_model_that_asks_for_keras_has_its_parameters(tmp_path):
    model = read_model_file(written(tmp_path, "def build(keras, epochs=2): ..."))
    assert model.supplied == ("keras",)
    assert model.parameters == {"epochs": 2, "precision": "auto", "backend": None}


def test_what_a_model_imports_of_the_files_beside_it_belongs_to_it(tmp_path):
    written(tmp_path, "import _deep.er, os\nimport json\n", "_features.py")
    written(tmp_path, "from _features import x", "_unused.py")
    written(tmp_path, "x = 1", "public.py")
    (tmp_path / "_deep").mkdir()
    written(tmp_path / "_deep", "", "__init__.py")
    written(tmp_path / "_deep", "from _features import x; from . import er", "er.py")
    written(tmp_path, "this stands behind the package", "_deep.py")
    (tmp_path / "_plain").mkdir()
    written(tmp_path / "_plain", "this is not Python", "part.py")
    source = (
        "from __future__ import annotations\nimport public, _thread, _no_such_file\n"
        "def build():\n    from _features import x\n    import _plain.part as part\n"
    )
    alone = read_model_file(written(tmp_path, "def build(): ...", "alone.py"))
    assert alone.sources() == {"alone.py": b"def build(): ..."}
    model = read_model_file(written(tmp_path, source))
    assert model.problem is None
    assert list(model.sources()) == [
        "model.py", "_features.py", "_plain/part.py", "_deep/__init__.py", "_deep/er.py"
    ]  # fmt: skip
    assert model.sources()["_features.py"] == b"import _deep.er, os\nimport json\n"
    assert model.sha256 == sources_digest(model.sources()) != hashlib.sha256(source.encode()).hexdigest()
    written(tmp_path / "_deep", "from _features import y", "er.py")
    changed = read_model_file(model.path).sha256
    assert changed != model.sha256
    assert changed == sources_digest(dict(reversed(model.sources().items())))
    assert read_model_file(alone.path).sha256 == alone.sha256


def test_a_file_beside_a_model_that_cannot_be_read_is_the_models_problem(tmp_path):
    (tmp_path / "_features").mkdir()
    (tmp_path / "_features" / "part.py").symlink_to(tmp_path / "nowhere")
    model = read_model_file(written(tmp_path, "import _features\ndef build(): ..."))
    assert model.problem == "imports _features/part.py, which cannot be read: No such file or directory"


def test_reading_models_imports_no_library_for_machine_learning():
    code = "from mnistbench.plan.models import *\nassert discover([builtin_folder()])"
    heavy = ("numpy", "scipy", "pandas", "sklearn", "xgboost", "keras", "tensorflow")
    assert loaded_by(code, *heavy) == set()


def test_every_model_of_the_suite_is_in_order():
    models = discover([builtin_folder()])
    assert list(models) == sorted(models)
    for model in models.values():
        assert model.problem is None, model.name
        assert model.summary.endswith("."), model.name


NO_DEFAULT = "`build` has an argument 'depth' without a default, which the suite does not supply"


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("def build(:\n  pass", "is not valid Python (line 1): invalid syntax"),
        ("\n\n  x = 1", "is not valid Python (line 3): unexpected indent"),
        (b"x = 1\0", "is not valid Python"),
        (b"# coding: latin-99\n", "is not valid Python: unknown encoding: latin-99"),
        (b"x = '\xff'", "is not valid Python"),
        ("-" * 100_000 + "1", "is not valid Python: it is nested too deeply"),
        ("x" + ".a" * 100_000, "is not valid Python"),
        ("(" * 10_000, "is not valid Python"),
        ("", "has no function `build`"),
        ("build = lambda: None", "has no function `build`"),
        ("async def build(): ...", "has no function `build`"),
        ("class A:\n    def build(self): ...", "has no function `build`"),
        ("def build(*args): ...", "`build` may not take *args"),
        ("def build(**options): ...", "`build` may not take *args, **kwargs"),
        ("def build(seed, /): ...", "positional-only"),
        ("build = partial(recipe, depth=2)", "has no function `build`"),
        ("def recipe(depth): ...\nbuild = partial(recipe, **{'depth': 2})", "has no function `build`"),
        ("def recipe(depth): ...\nbuild = partial(recipe, 2)", "has no function `build`"),
        ("def recipe(depth): ...\nbuild = partial(recipe)", NO_DEFAULT),
        (
            "def recipe(depth): ...\nbuild = partial(recipe, depth=2, width=3)",
            "`build` passes 'width' to recipe, which has no such argument",
        ),
        ("def recipe(depth): ...\nbuild = partial(recipe, depth=LIMIT)", "the default of 'depth'"),
        ("def build(keras, precision='auto'): ...", "`build` takes keras, which already has 'precision'"),
        ("def build(depth): ...", NO_DEFAULT),
        ("def build(*, depth): ...", NO_DEFAULT),
        ("def build(depth=LIMIT): ...", "the default of 'depth' in `build` must be a literal"),
        ("def build(depth=2 * 3): ...", "the default of 'depth'"),
        ("def build(depth={1, 2}): ...", "the default of 'depth'"),
        ("def build(depth={'a': 1}): ...", "the default of 'depth'"),
        ("def build(depth={[]: 1}): ...", "the default of 'depth'"),
        ("def build(depth=b'x'): ...", "the default of 'depth'"),
        ("def build(depth=...): ...", "the default of 'depth'"),
        ("def build(depth=1j): ...", "the default of 'depth'"),
        ("def build(depth=f'{1}'): ...", "the default of 'depth'"),
    ],
)
def test_a_broken_file_is_a_problem_and_no_exception(tmp_path, source, problem):
    model = read_model_file(written(tmp_path, source))
    assert problem in model.problem
    assert "<unknown>" not in model.problem
    assert len(model.sha256) == 64


def test_a_file_that_cannot_be_read_is_a_problem(tmp_path):
    (tmp_path / "folder.py").mkdir()
    (tmp_path / "dangling.py").symlink_to(tmp_path / "nowhere")
    models = discover([tmp_path])
    assert models["folder"].problem == "cannot be read: Is a directory"
    assert models["dangling"].problem == "cannot be read: No such file or directory"


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read every file")
def test_a_file_without_permission_is_a_problem(tmp_path):
    path = written(tmp_path, "def build(): ...")
    path.chmod(0)
    assert read_model_file(path).problem == "cannot be read: Permission denied"


@pytest.mark.parametrize(
    ("names", "problem"),
    [
        (["9lives", "a b", "modèle", "a.b", "-x", "a'b"], "its name must start with a letter"),
        (["svm2", "my-model", "My_Model"], None),
    ],
)
def test_names_start_with_a_letter_and_hold_digits_hyphens_and_underscores(tmp_path, names, problem):
    for name in names:
        found = read_model_file(written(tmp_path, "def build(): ...", f"{name}.py")).problem
        assert problem in found if problem else found is None


def test_the_last_of_two_builds_counts_as_in_python(tmp_path):
    model = read_model_file(written(tmp_path, "def build(a=1): ...\ndef build(b=2): ..."))
    assert model.parameters == {"b": 2}


def test_odd_escapes_in_a_file_warn_nobody(tmp_path):
    assert read_model_file(written(tmp_path, "def build(p='\\d'): ...")).parameters == {"p": "\\d"}


def test_private_and_hidden_files_are_no_models(tmp_path):
    for name in ("_shared.py", ".hidden.py", "._svm.py", "svm.py", "notes.txt"):
        written(tmp_path, "def build(): ...", name)
    assert list(discover([tmp_path])) == ["svm"]


def test_a_folder_must_exist_and_hold_models(tmp_path):
    with pytest.raises(UsageError, match="is not a folder"):
        discover([tmp_path / "nowhere"])
    with pytest.raises(UsageError, match="has no models"):
        discover([tmp_path])


def test_an_unknown_name_is_answered_with_the_nearest_and_all_known_ones():
    models = ["cnn", "forest", "svm"]
    assert (
        unknown("model", "svn", models)
        == "there is no model named 'svn'. Did you mean svm? Known: cnn, forest, svm."
    )
    assert "Did you mean" not in unknown("model", "qqqq", models)
    assert unknown("run", "x", []).endswith("Known: none.")


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=8,
)


@given(PLAIN)
def test_every_plain_literal_is_read_as_it_was_written(tmp_path_factory, value):
    if "inf" in repr(value):
        return  # Python has no literal for it
    path = written(
        tmp_path_factory.mktemp("literal"), f"def build(p={value!r}): ...".encode("utf-8", "replace")
    )
    assert read_model_file(path).parameters == {"p": plain_value(value)}


@given(st.binary(max_size=200))
def test_no_bytes_make_reading_raise(tmp_path_factory, source):
    model = read_model_file(written(tmp_path_factory.mktemp("bytes"), source))
    assert model.problem or b"build" in source
    assert len(model.sha256) == 64
