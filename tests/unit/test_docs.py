"""Pages name only what exists: files, tests, contracts, settings, commands, targets, metrics."""

import ast
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from typer.models import CommandInfo

from chimera_s1.app.cli.application import app
from chimera_s1.app.service_settings import CLIENT_NAMES, Settings, variable
from chimera_s1.app.settings.core import PREFIX
from chimera_s1.app.settings.secret_files import secret_file_variables

ROOT = Path(__file__).parents[2]
PAGES = sorted({*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")})
DECISIONS = sorted((ROOT / "docs" / "adr").glob("[0-9]*.md"))
MAPS = [ROOT / "docs" / name for name in ("architecture.md", "glossary.md")]
KIND = re.compile(r"ws\.[a-z]+")
LINE_LENGTH_MAX = 120
SETTING = r"\bS1_[A-Z0-9_]*[A-Z0-9](?![A-Z0-9_*])"
SETTINGS = (
    {variable(field) for field in Settings.model_fields}
    | secret_file_variables(Settings.model_fields, PREFIX).keys()
    | CLIENT_NAMES
)


def label(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def found(pattern: str, page: Path) -> set[str]:
    return set(re.findall(pattern, page.read_text(encoding="utf-8")))


@cache
def messages() -> dict[str, frozenset[str]]:
    """The strings of each source file that a user may read; docstrings are left out."""
    return {label(path): frozenset(strings(path)) for path in (ROOT / "src").rglob("*.py")}


def strings(path: Path) -> Iterator[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    statements = (node.value for node in ast.walk(tree) if isinstance(node, ast.Expr))
    docstrings = {id(value) for value in statements if isinstance(value, ast.Constant)}
    for node in ast.walk(tree):
        if id(node) in docstrings or not isinstance(node, ast.Constant):
            continue
        if isinstance(node.value, str):
            yield node.value


every_page = pytest.mark.parametrize("page", PAGES, ids=label)


@every_page
def test_lines_are_short(page: Path) -> None:
    """A line of one word, such as the name of a test, cannot be wrapped."""
    lines = page.read_text(encoding="utf-8").splitlines()

    assert not {
        number: len(line)
        for number, line in enumerate(lines, 1)
        if len(line) > LINE_LENGTH_MAX and " " in line.strip()
    }


@every_page
def test_links_have_a_target(page: Path) -> None:
    targets = found(r"\]\((?!https?:)([^)#]+)", page)

    assert not {target for target in targets if not (page.parent / target).exists()}


@every_page
def test_anchors_are_headings(page: Path) -> None:
    linked = re.findall(r"\]\((?!https?:)([^)#]*)#([^)]+)\)", page.read_text(encoding="utf-8"))

    assert not {
        f"{file}#{anchor}"
        for file, anchor in linked
        if anchor not in anchors(page.parent / file if file else page)
    }


def anchors(page: Path) -> set[str]:
    """The anchors that a Markdown renderer makes of the headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@every_page
def test_named_files_exist(page: Path) -> None:
    """A path starts at the root of the repository or of the package."""
    named = found(r"`([\w./-]+/[\w.-]+\.(?:py|md|toml))(?:::\w+)?`", page)
    roots = (ROOT, ROOT / "src" / "chimera_s1")

    assert not {name for name in named if not any((root / name).exists() for root in roots)}


@every_page
def test_named_tests_exist(page: Path) -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", page.read_text(encoding="utf-8"))

    assert not [
        f"{file}::{test}"
        for file, test in named
        if f"def {test}(" not in (ROOT / file).read_text(encoding="utf-8")
    ]


@every_page
def test_named_settings_exist(page: Path) -> None:
    assert not found(SETTING, page) - SETTINGS


@every_page
def test_named_commands_exist(page: Path) -> None:
    commands = {name_of(command) for command in app.registered_commands}
    groups = {str(group.name): group.typer_instance or app for group in app.registered_groups}
    named = found(r"chimera-s1 ([a-z][a-z-]*)\b(?=[` \n])(?!:)", page)

    assert not named - commands - groups.keys()
    for name, group in groups.items():
        below = {name_of(command) for command in group.registered_commands}
        assert not found(rf"chimera-s1 {name} ([a-z][a-z-]*)\b", page) - below


def name_of(command: CommandInfo) -> str:
    return command.name or str(getattr(command.callback, "__name__", ""))


@every_page
def test_named_make_targets_exist(page: Path) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    named = found(r"(?:^|`)make ([a-z][a-z-]*)", page)

    assert not {name for name in named if f"\n{name}:" not in makefile}


@every_page
def test_named_metrics_exist(page: Path) -> None:
    assert not found(r"`(s1_[a-z0-9_]+)", page).difference(*messages().values())


@pytest.mark.parametrize("page", MAPS, ids=label)
def test_named_classes_exist(page: Path) -> None:
    sources = (path.read_text(encoding="utf-8") for path in (ROOT / "src").rglob("*.py"))
    classes = {name for text in sources for name in re.findall(r"^class (\w+)", text, re.MULTILINE)}

    assert not found(r"`((?:[A-Z][a-z]+){2,})\b", page) - classes


@pytest.mark.parametrize("page", DECISIONS, ids=label)
def test_a_decision_has_its_sections_and_names_what_enforces_it(page: Path) -> None:
    """A decision that nothing enforces is a convention."""
    text = page.read_text(encoding="utf-8")
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    enforced = text.partition("**Enforced by:**")[2]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = {contract["id"] for contract in project["tool"]["importlinter"]["contracts"]}
    named = set(re.findall(r"`([a-z]+(?:-[a-z]+)*)`", enforced))
    hyphenated = {name for name in named if "-" in name}

    assert headings == ["Context", "Decision", "Consequences"]
    assert "`tests/" in enforced or named & contracts
    assert not hyphenated - contracts
    assert label(page).rpartition("/")[2] in (page.parent / "README.md").read_text(encoding="utf-8")


def test_the_examples_on_the_consumers_page_are_the_files_that_run() -> None:
    """`tests/contract/test_examples.py` runs them."""
    page = (ROOT / "docs" / "how-to" / "consume.md").read_text(encoding="utf-8")
    shown = re.findall(r"^```(?:python|js)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    files = {path.read_text(encoding="utf-8") for path in (ROOT / "docs" / "examples").iterdir()}

    assert len(shown) == 4
    assert set(shown) <= files


def test_the_architecture_page_lists_every_kind_of_connection_event() -> None:
    """Consumers read `ops:events` by kind."""
    kinds = {text for texts in messages().values() for text in texts if KIND.fullmatch(text)}

    assert found(r"`(ws\.[a-z]+)`", ROOT / "docs" / "architecture.md") == kinds


def test_messages_name_only_settings_that_exist() -> None:
    """An error or a health sentence may ask the operator to change a setting."""
    named = {
        (file, name)
        for file, texts in messages().items()
        for text in texts
        for name in re.findall(SETTING, text)
    }

    assert not {(file, name) for file, name in named if name not in SETTINGS}
