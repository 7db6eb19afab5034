"""What others have published is read from beside the model files, and a wrong entry is an error."""

import pytest

from mnistbench.errors import UsageError
from mnistbench.plan.baselines import FILE, published
from mnistbench.plan.models import builtin_folder
from mnistbench.runs.records import Published


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "svm.py"
    path.write_text("def build(): ...")
    return path


def test_a_model_has_what_its_own_folder_says_of_the_data_set(model):
    assert published(model, "mnist") == ()
    model.with_name(FILE).write_text(
        '[paper]\nsource = "A paper"\n[paper.mnist]\nsvm = 97.3\n[paper.kmnist]\nsvm = 90\n'
        '[site]\nsource = "A site"\nmnist.svm = 97.14\n'
    )
    assert published(model, "mnist") == (Published(0.973, "A paper"), Published(0.9714, "A site"))
    assert published(model, "kmnist") == (Published(0.9, "A paper"),)
    assert published(model, "digits") == published(model.with_name("rf.py"), "mnist") == ()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[paper", "is not valid TOML"),
        ("[paper.mnist]\nsvm = 97.3", r'\[paper\] must have source = "..."'),
        ('[paper]\nsource = "A"\nmnist = 97.3', r"a table for each data set"),
        ('[paper]\nsource = "A"\nmnist.svm = 973', r"has svm = 973; expected a percentage"),
        ('[paper]\nsource = "A"\nmnist.svm = "97.3"', r"expected a percentage"),
        ('[paper]\nsource = "A"\nmnist.sv = 97.3', r"names sv; there is no sv.py"),
    ],
)
def test_an_entry_that_says_nothing_is_refused(model, content, message):
    model.with_name(FILE).write_text(content)
    with pytest.raises(UsageError, match=f"{FILE}.*{message}"):
        published(model, "mnist")


def test_the_suites_own_baselines_are_sound():
    found = {
        (name, data): published(builtin_folder() / f"{name}.py", data)
        for name in ("svm", "cnn", "knn")
        for data in ("mnist", "fashion-mnist", "kmnist", "digits")
    }
    assert [each.accuracy for each in found["svm", "fashion-mnist"]] == [0.897]
    assert [each.accuracy for each in found["knn", "mnist"]] == [0.959, 0.9714]
    assert [each.accuracy for each in found["cnn", "kmnist"]] == [0.9512]
    assert found["svm", "digits"] == ()
