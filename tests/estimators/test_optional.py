"""A library is imported without another that it would import where that is installed."""

import importlib
import sys

import pytest

from mnistbench.estimators.optional import not_installed


def test_a_library_seems_not_to_be_installed_until_the_end_even_of_an_error(tmp_path, monkeypatch):
    (tmp_path / "some_library.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="some_library"), not_installed("some_library"):
        importlib.import_module("some_library")
    importlib.import_module("some_library")
    with not_installed("some_library"):
        importlib.import_module("some_library")
    assert sys.modules.pop("some_library").__file__ == str(tmp_path / "some_library.py")
