"""Published accuracies of Medusa's heads: what an estimator begins with before it has seen a run.

Source: FasterDecoding/Medusa, assets/medusa_acc.csv, the last batch of training of the Vicuna v1.3
heads: chance that the right token is among a head's best 1 to 5.
"""

from __future__ import annotations

from itertools import pairwise

from propd.planning.drafts import RANKS

_AMONG_BEST = {
    "lmsys/vicuna-7b-v1.3": (
        (0.5604, 0.6717, 0.7271, 0.7599, 0.7799),
        (0.3164, 0.4236, 0.4851, 0.5282, 0.5625),
        (0.2010, 0.2879, 0.3475, 0.3834, 0.4169),
        (0.1474, 0.2250, 0.2737, 0.3109, 0.3397),
        (0.1175, 0.1866, 0.2346, 0.2721, 0.2998),
    ),
    "lmsys/vicuna-13b-v1.3": (
        (0.5939, 0.7053, 0.7578, 0.7925, 0.8161),
        (0.3397, 0.4400, 0.5068, 0.5465, 0.5803),
        (0.2161, 0.3085, 0.3612, 0.4030, 0.4364),
        (0.1500, 0.2317, 0.2878, 0.3234, 0.3541),
        (0.1223, 0.1957, 0.2434, 0.2791, 0.3070),
    ),
    "lmsys/vicuna-33b-v1.3": (
        (0.6046, 0.7162, 0.7649, 0.7983, 0.8223),
        (0.3558, 0.4690, 0.5287, 0.5692, 0.5961),
        (0.2246, 0.3197, 0.3785, 0.4210, 0.4462),
        (0.1596, 0.2488, 0.3073, 0.3480, 0.3755),
        (0.1370, 0.2067, 0.2621, 0.2984, 0.3258),
    ),
}
UNKNOWN = "lmsys/vicuna-7b-v1.3"
"""Whose table other models begin with: a guess, which a run corrects as it goes."""


def acceptance_prior(base_model: str, heads: int) -> tuple[tuple[float, ...], ...]:
    """Chance of each rank, `RANKS` a head.

    Heads beyond the fifth begin with the fifth's.
    """
    known = _AMONG_BEST.get(base_model, _AMONG_BEST[UNKNOWN])
    return tuple(_by_rank(known[min(head, len(known) - 1)]) for head in range(heads))


def _by_rank(among_best: tuple[float, ...]) -> tuple[float, ...]:
    """Ranks beyond the fifth are not published; they go on falling as ranks 2 to 5 do on average
    (a geometric series, which is ours)."""
    chances = [among_best[0], *(after - before for before, after in pairwise(among_best))]
    falling = (chances[-1] / chances[1]) ** (1 / (len(chances) - 2))
    while len(chances) < RANKS:
        chances.append(chances[-1] * falling)
    return tuple(round(chance, 5) for chance in chances)
