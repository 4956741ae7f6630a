"""Secrets from files: `S1_..._FILE`."""

from pathlib import Path

import pytest

from chimera_s1.app.cli.config.effective_settings import effective_settings
from chimera_s1.app.service_settings import load_settings
from chimera_s1.domain.errors import ConfigurationError
from tests.unit.app.setting_values import SECRET, SECRET_SETTINGS

PROXY = f"http://me:{SECRET}@10.0.0.9:3128"


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    """`S1_..._FILE` for every secret."""
    given = {}
    for name in SECRET_SETTINGS:
        path = tmp_path / name
        path.write_text(PROXY if "PROXY" in name else f"{SECRET} {name}\n")
        given[f"{name}_FILE"] = str(path)
    return given


def test_every_secret_may_be_in_a_file(files: dict[str, str]) -> None:
    settings = load_settings(files)

    for name in SECRET_SETTINGS:
        field = name.removeprefix("S1_").lower()
        expected = PROXY if "PROXY" in name else f"{SECRET} {name}"
        assert settings.secret(field)() == expected
        assert getattr(settings, field).get_secret_value() == expected
    assert SECRET not in f"{settings!r} {settings.model_dump()} {settings.secret_files}"


def test_a_changed_file_is_read_again(files: dict[str, str]) -> None:
    read = load_settings(files).secret("redis_pass")
    Path(files["S1_REDIS_PASS_FILE"]).write_text("a new one")
    assert read() == "a new one"


def test_a_secret_of_the_environment_stays(files: dict[str, str]) -> None:
    settings = load_settings({"S1_REDIS_PASS": SECRET})
    assert settings.secret("redis_pass")() == SECRET
    assert settings.secret("binance_key")() == ""
    assert not settings.secret_files
    assert files


def test_the_report_says_which_secrets_are_from_files(files: dict[str, str]) -> None:
    given = {"S1_REDIS_PASS_FILE": files["S1_REDIS_PASS_FILE"]}
    rows = {row.name: row for row in effective_settings(given)}
    row = rows["S1_REDIS_PASS"]
    assert (row.value, row.origin) == ("***", "file")
    assert "S1_REDIS_PASS_FILE" in row.rule
    assert rows["S1_DB_ARANGO_PASS"].value == ""


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"S1_REDIS_PASS": "x"}, "S1_REDIS_PASS_FILE and S1_REDIS_PASS are both set; remove one"),
        ({"S1_REDIS_PASS_FILE": "/no/such"}, "S1_REDIS_PASS_FILE: /no/such cannot be read"),
        ({"S1_HTTP_PORT_FILE": "/x"}, "S1_HTTP_PORT_FILE: no such setting; did you mean"),
        ({"S1_REDIS_PAS_FILE": "/x"}, "no such setting; did you mean S1_REDIS_PASS_FILE"),
    ],
)
def test_wrong_files_are_reported_with_the_other_problems(
    files: dict[str, str], change: dict[str, str], expected: str
) -> None:
    with pytest.raises(ConfigurationError) as raised:
        load_settings({**files, **change, "S1_HTTP_PORT": "eighty"})

    assert expected in str(raised.value)
    assert "S1_HTTP_PORT='eighty'" in str(raised.value)
    assert SECRET not in str(raised.value)


@pytest.mark.parametrize("name", ["S1_BINANCE_KEY_FILE", "S1_BINANCE_SECRET_FILE"])
def test_a_file_that_cannot_be_read_is_the_only_problem_of_a_pair(
    files: dict[str, str], name: str
) -> None:
    """The other one is not called missing."""
    with pytest.raises(ConfigurationError) as raised:
        load_settings({**files, name: "/no/such"})

    first, *problems = str(raised.value).splitlines()
    assert first == "1 setting is wrong:"
    assert [problem.split(":")[0].strip() for problem in problems] == [name]


def test_a_secret_that_breaks_its_rule_is_not_shown(files: dict[str, str]) -> None:
    Path(files["S1_EGRESS_PROXY_FILE"]).write_text(f"https://me:{SECRET}@10.0.0.9:3128")
    with pytest.raises(ConfigurationError, match=r"S1_EGRESS_PROXY=\*\*\*") as raised:
        load_settings(files)
    assert SECRET not in str(raised.value)
