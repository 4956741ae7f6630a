"""Make each deliberate mistake in a copy of the tree and run the tests named for it.

    python -m tests.mutants --only start-submission-unchecked

One line a mistake: `killed` (a test failed), `killed by time` (the tests hang), `survived` (they
passed: a test is missing), `not tried` (pytest could not run them). Exit 1 unless all are killed.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from enum import StrEnum
from fnmatch import fnmatch
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from tempfile import TemporaryDirectory

from msgspec import Struct

from chimera_s1.adapters.ending_with_parent import ending_with_parent
from tests.mutants.catalog import ROOT, Mutant, load, problems

WORKERS = 2
LIMIT_S = 60.0  # of a mistake; beside it, a multiple of what the tests took without one
SLOWER = 5.0
PASSED, FAILED = 0, 1
NOT_RUN = (2, 3, 4, 5)  # pytest: interrupted (import failed), internal error, usage, no tests
OUTPUT_LINES = 30

Tests = tuple[str, ...]


class Verdict(StrEnum):
    """What came of a mistake."""

    KILLED = "killed"
    HUNG = "killed by time"
    SURVIVED = "survived"
    NOT_TRIED = "not tried"


class Run(Struct, frozen=True):
    """Attributes: code: pytest's exit code; None where it was stopped."""

    code: int | None
    seconds: float
    output: str

    @property
    def verdict(self) -> Verdict:
        if self.code is None:
            return Verdict.HUNG
        if self.code == PASSED:
            return Verdict.SURVIVED
        return Verdict.NOT_TRIED if self.code in NOT_RUN else Verdict.KILLED


def pytest(root: Path, tests: Tests, limit_s: float | None = None) -> Run:
    """Run *tests* in the tree at *root*; subprocesses of the tests use that tree too."""
    paths = os.pathsep.join((str(root / "src"), str(root)))
    # Python compares a compiled file with its source by size and second; both may be equal here.
    environment = {**os.environ, "PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
    begun = time.monotonic()
    process = subprocess.Popen(
        ending_with_parent(command),
        cwd=root,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=limit_s)
        code: int | None = process.returncode
    except subprocess.TimeoutExpired:
        output, code = "", None
    finally:
        with suppress(ProcessLookupError):  # what the tests left running ends here
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    return Run(code, time.monotonic() - begun, output)


class Copies:
    """One copy of the tree for each worker, lent to one run at a time."""

    def __init__(self, directory: Path) -> None:
        self._free: SimpleQueue[Path] = SimpleQueue()
        listed = ("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
        names = subprocess.check_output(listed, cwd=ROOT, text=True).split("\0")
        for worker in range(WORKERS):
            copy = directory / str(worker)
            for name in filter(None, names):
                if (ROOT / name).is_file():
                    (copy / name).parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy2(ROOT / name, copy / name)
            self._free.put(copy)

    @contextmanager
    def lend(self) -> Iterator[Path]:
        copy = self._free.get()
        try:
            yield copy
        finally:
            self._free.put(copy)


def unchanged(copies: Copies, tests: Tests) -> tuple[Tests, Run]:
    with copies.lend() as root:
        return tests, pytest(root, tests)


def mistaken(copies: Copies, seconds: dict[Tests, float], mutant: Mutant) -> tuple[Mutant, Run]:
    with copies.lend() as root:
        before = mutant.apply(root)
        try:
            return mutant, pytest(root, mutant.tests, LIMIT_S + SLOWER * seconds[mutant.tests])
        finally:
            (root / mutant.file).write_text(before, encoding="utf-8")


def chosen(mutants: list[Mutant], patterns: list[str]) -> list[Mutant]:
    return [m for m in mutants if not patterns or any(fnmatch(m.id, p) for p in patterns)]


def try_all(mutants: list[Mutant], copies: Copies, pool: ThreadPoolExecutor) -> int:
    seconds: dict[Tests, float] = {}
    each: Callable[[Tests], tuple[Tests, Run]] = partial(unchanged, copies)
    for tests, run in pool.map(each, dict.fromkeys(mutant.tests for mutant in mutants)):
        if run.code != PASSED:
            say(f"{' '.join(tests)} fails without a mistake:\n{tail(run)}")
            return 1
        seconds[tests] = run.seconds
    return report(pool.map(partial(mistaken, copies, seconds), mutants))


def report(tried: Iterable[tuple[Mutant, Run]]) -> int:
    totals: Counter[Verdict] = Counter()
    for mutant, run in tried:
        totals[run.verdict] += 1
        say(f"{run.verdict:<14}  {run.seconds:5.1f} s  {mutant.id}")
        if run.verdict is Verdict.SURVIVED:
            say(f"    {mutant.why}\n    {' '.join(mutant.tests)}")
        elif run.verdict is Verdict.NOT_TRIED:
            say(tail(run))
    say(", ".join(f"{verdict}: {totals[verdict]}" for verdict in Verdict))
    return int(bool(totals[Verdict.SURVIVED] + totals[Verdict.NOT_TRIED]))


def tail(run: Run) -> str:
    return "\n".join(f"    {line}" for line in run.output.splitlines()[-OUTPUT_LINES:])


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> int:
    parser = argparse.ArgumentParser(prog="make mutants", description=__doc__)
    parser.add_argument("--only", action="append", default=[], metavar="ID", help="or a pattern")
    mutants = load()
    wrong = problems(mutants)
    selected = chosen(mutants, parser.parse_args().only)
    if wrong or not selected:
        say("\n".join(wrong) or "no mistake has this id")
        return 1
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # the copies are removed then, too
    with TemporaryDirectory(prefix="mutants-") as directory, ThreadPoolExecutor(WORKERS) as pool:
        return try_all(selected, Copies(Path(directory)), pool)


if __name__ == "__main__":
    sys.exit(main())
