"""The contention study times each model alone and beside a busy program."""

import subprocess
import sys
from pathlib import Path

import pytest

FILE = Path(__file__).parents[1] / "benchmarks" / "studies" / "contention.py"


@pytest.mark.slow
def test_each_model_has_a_row_with_both_times_and_their_ratio():
    models = "ridge,hist_gradient_boosting_on_pixels"
    options = ["--dataset", "digits", "--only", models, "--train-size", "200"]
    answer = subprocess.run([sys.executable, FILE, *options], capture_output=True, text=True, timeout=300)
    assert answer.returncode in (0, 1), answer.stderr  # 1: more than three times as long beside the loop
    rows = {
        row.split()[0]: row.split()[1:] for row in answer.stdout.partition("fit, s")[2].splitlines() if row
    }
    for model in models.split(","):
        alone, beside, ratio = map(float, rows[model])
        assert beside / ratio == pytest.approx(alone, abs=0.02 + alone / 10)
