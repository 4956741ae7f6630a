"""Deliberate mistakes, kept as data: `tests/mutants/*.toml`, one table `[[mutant]]` a mistake."""

import tomllib
from collections import Counter
from pathlib import Path

from msgspec import Struct, convert

ROOT = Path(__file__).parents[2]


class Mutant(Struct, frozen=True, forbid_unknown_fields=True):
    """One mistake.

    Attributes:
        id: Kebab case, unique over all files.
        why: What goes wrong in production.
        file: Where it is made, from the root of the repository.
        search: Text that occurs exactly once in *file*.
        replace: What stands there instead.
        tests: Arguments of pytest: the tests of which at least one must fail.
    """

    id: str
    why: str
    file: str
    search: str
    replace: str
    tests: tuple[str, ...]

    def apply(self, root: Path) -> str:
        """Make the mistake in the tree at *root*; the file's text before it."""
        path = root / self.file
        before = path.read_text(encoding="utf-8")
        path.write_text(before.replace(self.search, self.replace), encoding="utf-8")
        return before


def load(directory: Path = ROOT / "tests" / "mutants") -> list[Mutant]:
    """Every mistake, in the order of the files."""
    tables = [tomllib.loads(path.read_text("utf-8")) for path in sorted(directory.glob("*.toml"))]
    return [convert(entry, Mutant) for table in tables for entry in table["mutant"]]


def problems(mutants: list[Mutant], root: Path = ROOT) -> list[str]:
    """What is wrong with the data; empty where every mistake can be made and tried."""
    counted = Counter(mutant.id for mutant in mutants)
    twice = [f"{name}: the id is used {n} times" for name, n in counted.items() if n > 1]
    return twice + [
        f"{mutant.id}: {problem}" for mutant in mutants for problem in _of(mutant, root)
    ]


def _of(mutant: Mutant, root: Path) -> list[str]:
    path = root / mutant.file
    if not path.is_file():
        return [f"{mutant.file} does not exist"]
    found = [] if mutant.tests else ["it names no test"]
    times = path.read_text(encoding="utf-8").count(mutant.search) if mutant.search else 0
    if times != 1:
        found.append(f"the text to search occurs {times} times in {mutant.file}")
    if mutant.search == mutant.replace:
        found.append("it changes nothing")
    return found + [f"{test} does not exist" for test in mutant.tests if not _exists(test, root)]


def _exists(test: str, root: Path) -> bool:
    """Whether the file is there and defines what follows `::`."""
    file, *names = test.split("[", maxsplit=1)[0].split("::")
    path = root / file
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    return path.exists() and all(f"{name}(" in text or f"{name}:" in text for name in names)
