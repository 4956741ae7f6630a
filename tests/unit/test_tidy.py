"""House rules that no linter knows: lengths of functions, names, leftovers, and how tests wait."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
FUNCTION_LINES_MAX = 70
VAGUE_WORDS = {"util", "utils", "manager", "helper", "helpers", "common", "misc", "handler"}
WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")

# Written in pieces, so that this file passes its own test.
LEFTOVER = re.compile(rf"\b({'TO' + 'DO'}|{'FIX' + 'ME'}|{'X' + 'XX'}|{'HA' + 'CK'})\b")
MACHINE_PATH = re.compile(
    rf"(?<![\w.$}}*])/({'ho' + 'me'}|{'ro' + 'ot'}|{'Us' + 'ers'}|{'wo' + 'rk'})/"
)
DOWNLOAD_ADDRESS = re.compile(
    rf"{'python' + 'hosted'}|https?://\S+/{'sim' + 'ple'}\b|^--(extra-)?index-url"
)

TEXT_SUFFIXES = {".py", ".md", ".toml", ".txt", ".yaml", ".yml", ".json", ".html", ".css", ".js"}


def python_files() -> list[Path]:
    return sorted(path for top in ("src", "tests") for path in (ROOT / top).rglob("*.py"))


def text_files() -> list[Path]:
    """What is kept of this project, generated and downloaded things left out."""
    trees = ("src", "tests", "docs", "deploy")
    inside = [
        path for top in trees for path in (ROOT / top).rglob("*") if path.suffix in TEXT_SUFFIXES
    ]
    named = [
        ROOT / name for name in ("Makefile", "Dockerfile", ".dockerignore", ".gitignore", ".ci/run")
    ]
    top = [path for path in ROOT.iterdir() if path.suffix in TEXT_SUFFIXES]
    return sorted({*inside, *top, *(path for path in named if path.exists())})


def label(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), label(path))


class Definition(NamedTuple):
    """A class or a function."""

    name: str
    lineno: int
    lines: int
    is_function: bool


@cache
def definitions(path: Path) -> tuple[Definition, ...]:
    return tuple(defined_in(parsed(path)))


def defined_in(tree: ast.AST) -> Iterator[Definition]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.expr):  # most of a tree, and defines nothing
            continue
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or 0) - node.lineno + 1
            yield Definition(node.name, node.lineno, lines, not isinstance(node, ast.ClassDef))
        yield from defined_in(node)


def words(name: str) -> set[str]:
    return {word.lower() for word in WORD.findall(name)}


def test_functions_are_short() -> None:
    """Seventy lines is a screen; most functions need a third of it."""
    long = [
        f"{label(path)}:{each.lineno} {each.name}"
        for path in python_files()
        for each in definitions(path)
        if each.is_function and each.lines > FUNCTION_LINES_MAX
    ]

    assert not long


def test_names_say_something() -> None:
    """A module, class or function is named for what it does; these words name anything."""
    named = {
        f"{label(path)}: {name}"
        for path in python_files()
        for name in (path.stem, *(each.name for each in definitions(path)))
        if words(name) & VAGUE_WORDS
    }

    assert not named


@pytest.mark.parametrize(
    "forbidden",
    [
        pytest.param(LEFTOVER, id="unfinished work"),
        pytest.param(MACHINE_PATH, id="a path of one machine"),
        pytest.param(DOWNLOAD_ADDRESS, id="a download address"),
    ],
)
def test_nothing_is_left_behind(forbidden: re.Pattern[str]) -> None:
    """What is kept names no machine, no registry and no work to be done some day."""
    found = [
        f"{label(path)}:{number} {match.group()}"
        for path in text_files()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if (match := forbidden.search(line))
    ]

    assert not found


def own_time_limits(tree: ast.Module) -> Iterator[ast.Call]:
    """Waits with a number of seconds of their own, and HTTP clients with the 5 s of httpx."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called, named = ast.unparse(node.func), {each.arg: each.value for each in node.keywords}
        if called in {"httpx2.AsyncClient", "httpx2.Client"} and "transport" not in named:
            limit = named.get("timeout")
            if limit is None or isinstance(limit, ast.Constant):
                yield node
        elif called == "anyio.fail_after" and is_seconds(node.args[0]):
            yield node


def is_seconds(limit: ast.expr) -> bool:
    """Whether it is a number; below 1 it is meant to end."""
    value = limit.value if isinstance(limit, ast.Constant) else None
    return isinstance(value, int | float) and value >= 1


def test_tests_have_one_time_limit() -> None:
    """`TIMEOUT_S`: what seems long enough on a quiet machine is too short on a busy one."""
    trees = ("unit", "contract", "fakes", "arango_double")
    inside = [path for top in trees for path in (ROOT / "tests" / top).rglob("*.py")]
    found = [
        f"{label(path)}:{node.lineno}"
        for path in [*inside, *(ROOT / "tests").glob("*.py")]
        for node in own_time_limits(parsed(path))
    ]

    assert not found, "use TIMEOUT_S of tests/time_limits.py, or a multiple"


def test_tests_wait_on_something() -> None:
    """A test neither sleeps nor skips: it waits for an event, a reply or an entry of a stream."""
    banned = {"sleep", "skip", "skipif", "importorskip", "xfail"}
    found = [
        f"{label(path)}:{node.lineno} {node.attr}"
        for path in (ROOT / "tests").rglob("test_*.py")
        for text in [path.read_text(encoding="utf-8")]
        if any(name in text for name in banned)  # few are parsed
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Attribute)
        and node.attr in banned
        and isinstance(node.value, ast.Name | ast.Attribute)
        and ast.unparse(node.value) in {"anyio", "asyncio", "time", "pytest", "pytest.mark"}
    ]

    assert not found
