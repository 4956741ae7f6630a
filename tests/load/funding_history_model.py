"""Seeded exchange histories, read with faults, until one read is wrong; `tests/funding_model.py`.

python -m tests.load.funding_history_model --seeds 2000 --first 1
"""

import argparse
import random
import sys
from collections import Counter
from collections.abc import Sequence

import anyio

from tests.funding_model import CHANGES, FAULTS, FundingModel, Setup

PAGE_SIZES = (20, 45, 60, 250)


def drawn_setup(seed: int) -> Setup:
    chance = random.Random(seed)
    return Setup(
        seed=seed,
        page_size=chance.choice(PAGE_SIZES),
        hours=chance.randint(60, 84),
        off_grid=chance.random() < 0.5,
        withhold=chance.random() < 0.5,
        change=chance.choice(["", *CHANGES]),
        runs=chance.randint(1, 4),
    )


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=2_000)
    parser.add_argument("--first", type=int, default=1)
    options = parser.parse_args(arguments)
    fired: Counter[str] = Counter()
    failed: list[int] = []
    for seed in range(options.first, options.first + options.seeds):
        try:
            fired.update(anyio.run(FundingModel(drawn_setup(seed)).run))
        except Exception as error:  # noqa: BLE001 (reported with its seed; the loop goes on)
            failed.append(seed)
            sys.stdout.write(f"seed {seed}: {type(error).__name__}: {error}\n")
            sys.stdout.flush()
    for fault in FAULTS:
        sys.stdout.write(f"{fired[fault]:9}  {fault}\n")
    sys.stdout.write(f"{options.seeds} histories, {len(failed)} wrong: {failed}\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
