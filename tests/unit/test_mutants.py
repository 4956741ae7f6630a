"""The data of `make mutants` stays true: every mistake can be made, and its tests are there."""

import shutil
from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.mutants.catalog import Mutant, load, problems

SOUND = Mutant(
    "one-is-two", "Sums are wrong.", "a.py", "= 1", "= 2", ("test_a.py::test_one", "test_a.py")
)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "a.py").write_text("one = 1\nnone = None\n", encoding="utf-8")
    (tmp_path / "test_a.py").write_text("def test_one(): pass\n", encoding="utf-8")
    return tmp_path


def test_every_mistake_can_be_made_and_tried() -> None:
    assert not problems(load())


@pytest.mark.parametrize(
    ("unsound", "problem"),
    [
        (replace(SOUND, search="= 3"), "occurs 0 times"),
        (replace(SOUND, search="one"), "occurs 3 times"),
        (replace(SOUND, search=""), "occurs 0 times"),
        (replace(SOUND, replace="= 1"), "changes nothing"),
        (replace(SOUND, file="b.py"), "b.py does not exist"),
        (replace(SOUND, tests=("test_b.py",)), "test_b.py does not exist"),
        (replace(SOUND, tests=("test_a.py::test_two",)), "test_two does not exist"),
        (replace(SOUND, tests=()), "names no test"),
    ],
)
def test_unsound_data_is_found(tree: Path, unsound: Mutant, problem: str) -> None:
    assert not problems([SOUND], tree)
    assert any(problem in found for found in problems([unsound], tree))


def test_an_id_is_used_once(tree: Path) -> None:
    assert problems([SOUND, SOUND], tree) == ["one-is-two: the id is used 2 times"]


def test_the_mistake_is_made_in_the_tree_that_is_named(tree: Path) -> None:
    other = shutil.copytree(tree, tree / "copy")

    before = SOUND.apply(other)

    assert before == "one = 1\nnone = None\n"
    assert (other / "a.py").read_text("utf-8") == "one = 2\nnone = None\n"
    assert (tree / "a.py").read_text("utf-8") == before
