"""What the paired tests of a run come to, taken together: verdicts, and groups of tied models."""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtr

from mnistbench.stats.accuracy import CONFIDENCE, POWER
from mnistbench.stats.pairs import PairedTest, Variation
from mnistbench.stats.scores import MARGIN

SIGNIFICANCE = 0.05

MOST_IMAGES = 10_000_000
MOST_SEEDS = 1_000
"""Beyond these, a comparison counts as one that more images, or more seeds, cannot settle."""


@dataclass(frozen=True)
class TieGroup:
    """Models none of which is shown to be better than another."""

    models: tuple[str, ...]  # at least two, best first
    is_same: bool  # every two are practically the same; else the test of some pair cannot tell


def judged(tests: Sequence[PairedTest], margin: float = MARGIN) -> list[PairedTest]:
    """Give each of the tests its p-value after Holm's correction for all of them, and its verdict.

    Two models are practically the same if the whole 95 % interval of their difference lies within the margin,
    even if the difference is significant. Else one is better if the adjusted p-value is below 5 %. Else
    the test cannot tell: that no difference was found does not show that there is none.

    Inclusion of the interval is the pair of one-sided tests of D. J. Schuirmann, "A comparison of the two
    one-sided tests procedure and the power approach for assessing the equivalence of average
    bioavailability", Journal of Pharmacokinetics and Biopharmaceutics 15 (1987), each at 2.5 % and without
    correction for the number of pairs; the margin is the region of practical equivalence of J. K. Kruschke,
    "Rejecting or accepting parameter values in Bayesian estimation", Advances in Methods and Practices in
    Psychological Science 1 (2018).

    Where the test cannot tell, the numbers of images and of seeds are sought that would give a verdict with a
    chance of `POWER`, should the true difference be the one observed. The variance from sampling shrinks
    with the number of images, that from training with the number of seeds. A significant difference counts at
    the level of Holm's next step, 5 % divided by the number of pairs that are not significant yet. Where
    neither number suffices alone, both grow in proportion.
    """
    adjusted = holm([test.p_value for test in tests]).tolist()
    open_count = sum(p >= SIGNIFICANCE for p in adjusted)
    return [
        _judged(replace(test, adjusted_p_value=p, margin=margin), SIGNIFICANCE / max(1, open_count))
        for test, p in zip(tests, adjusted, strict=True)
    ]


def _judged(test: PairedTest, level: float) -> PairedTest:
    if -test.margin <= test.interval.low and test.interval.high <= test.margin:
        return replace(test, verdict="practically the same")
    if test.adjusted_p_value < SIGNIFICANCE:
        return replace(test, verdict="better" if test.difference > 0 else "worse")
    now = test.variation

    def enough(images: int, seeds: int) -> bool:
        return _chance_of_verdict(test, now.scaled(images, seeds), level) >= POWER

    def together(seeds: int) -> int:
        return round(now.images * seeds / now.seeds)

    images = _first(range(now.images + 1, MOST_IMAGES + 1), lambda images: enough(images, 0))
    more_seeds = range(now.seeds + 1, MOST_SEEDS + 1) if now.training else range(0)
    seeds = _first(more_seeds, lambda seeds: enough(now.images, seeds))
    is_both = images is None and seeds is None
    if is_both:
        seeds = _first(more_seeds, lambda seeds: enough(together(seeds), seeds))
        images = together(seeds) if seeds is not None else None
    return replace(
        test,
        verdict="cannot tell",
        images_to_settle=images,
        seeds_to_settle=seeds,
        settled_together=is_both and seeds is not None,
    )


def _first(numbers: range, is_enough: Callable[[int], bool]) -> int | None:
    """Return the first of rising numbers that is enough; None where not even the last is."""
    position = bisect_left(numbers, True, key=is_enough)
    return numbers[position] if position < len(numbers) else None


def _chance_of_verdict(test: PairedTest, variation: Variation, level: float) -> float:
    """Return the chance that a difference estimated with this variation is judged one way or the other."""
    # No verdict comes of an estimate whose absolute value lies between these two.
    low = max(0.0, test.margin - variation.half_width(CONFIDENCE))
    high = variation.half_width(1 - level)
    if low >= high:
        return 1.0

    def below(estimate: float) -> float:
        standardised = (estimate - abs(test.difference)) / variation.standard_error
        return float(stdtr(variation.degrees_of_freedom, standardised))

    return 1 - (below(high) - below(low)) - (below(-low) - below(-high))


def holm(p_values: ArrayLike) -> NDArray[np.float64]:
    """Return p-values adjusted to bound the chance of any false discovery among them, float64 (m,).

    S. Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6
    (1979).
    """
    given = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(given, kind="stable")
    stepped = np.maximum.accumulate(given[order] * np.arange(len(given), 0, -1))
    adjusted = np.empty_like(given)
    adjusted[order] = np.minimum(1.0, stepped)
    return adjusted


def tie_groups(ranking: Sequence[str], tests: Sequence[PairedTest]) -> list[TieGroup]:
    """Return the groups of tied models, none of which is better than another: a compact letter display.

    Two models share a group with `is_same` exactly if they are practically the same; they share only groups
    without it exactly if the test cannot tell. No further model could join a group. So groups
    overlap where a ties with b and b with c but not a with c, and a model that ties with none is in none.
    Each pair, best first, that does not share a group yet starts one, which every model that ties with all
    its members then joins, best first. H.-P. Piepho, "An algorithm for a letter-based representation
    of all-pairwise comparisons", Journal of Computational and Graphical Statistics 13 (2004), describes the
    display.

    Returns:
        The groups, best first, each in the order of the ranking.
    """
    verdicts = {frozenset((test.model_a, test.model_b)): test.verdict for test in tests}
    same = _cliques(
        ranking, {pair for pair, verdict in verdicts.items() if verdict == "practically the same"}
    )
    tied = _cliques(
        ranking, {pair for pair, verdict in verdicts.items() if verdict not in ("better", "worse")}
    )
    groups = [TieGroup(models, is_same=True) for models in same]
    groups += [TieGroup(models, is_same=False) for models in tied if models not in same]
    return sorted(groups, key=lambda group: [ranking.index(model) for model in group.models])


def _cliques(ranking: Sequence[str], pairs: AbstractSet[frozenset[str]]) -> list[tuple[str, ...]]:
    """Cover the pairs by sets of models, every two of which are one of the pairs; none could be larger."""
    groups: list[tuple[str, ...]] = []
    for pair in combinations(ranking, 2):
        if frozenset(pair) not in pairs or any(set(pair) <= set(group) for group in groups):
            continue
        members = set(pair)
        for model in ranking:
            if all(frozenset((model, member)) in pairs for member in members - {model}):
                members.add(model)
        groups.append(tuple(model for model in ranking if model in members))
    return groups
