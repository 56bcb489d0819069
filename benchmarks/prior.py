"""Make the prior that comes with the program: what our tables of trainings tell of any network.

    python benchmarks/prior.py                     writes search/prior.json
    python benchmarks/prior.py --without digits --out without-digits.json

The tables are those of benchmarks/surface that are there. Of each, at most 300 designs are taken,
drawn with a fixed seed; the hyperparameters of what they share are those of most likelihood
(`search.transfer.fit_hyper`), so that the same tables give the same file.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from strategies import SURFACES, surface

from dse.files import write_text
from search.candidates import identify
from search.common import Describer
from search.experience import MOST_ROWS, SHIPPED, experience_text
from search.transfer import Experience, Task, fit_hyper


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--without", nargs="*", default=[], help="tables to leave out")
    parser.add_argument("--out", type=Path, default=SHIPPED)
    options = parser.parse_args()
    tasks = read_tasks(options.without)
    names = [task.name for task in tasks]
    write_text(options.out, experience_text(Experience(tasks, fit_hyper(tasks)), names))
    print(f"{options.out}: {', '.join(f'{len(t.errors)} of {t.name}' for t in tasks)}")


def read_tasks(without: Sequence[str] = (), seed: int = 0, share: float = 1.0) -> tuple[Task, ...]:
    """The tables as earlier tasks.

    Args:
        without: names of tables to leave out.
        seed: of the draw.
        share: of the designs of each that are taken.
    """
    there = [name for name in SURFACES if (SURFACES[name] / "curves.csv").exists()]
    return tuple(_read_task(name, seed, share) for name in there if name not in without)


def _read_task(name: str, seed: int, share: float) -> Task:
    found = surface(of=name)
    priced = found.pool.price(list(found.pool._whole.values if found.pool._whole else []))
    features = Describer(found.pool.sweep).describe(priced.values, priced.columns)
    errors = np.array([min(found.curves[identify(values)]) for values in priced.values])
    count = min(MOST_ROWS, round(share * len(errors)))
    chosen = np.sort(np.random.default_rng(seed).permutation(len(errors))[:count])
    return Task(name, features[chosen], errors[chosen])


if __name__ == "__main__":
    main()
