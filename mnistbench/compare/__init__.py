"""Two runs, side by side: what really changed."""

from mnistbench.compare.changes import Change, Comparison, TimeChange, compare
from mnistbench.compare.surroundings import Difference

__all__ = ["Change", "Comparison", "Difference", "TimeChange", "compare"]
