from pathlib import Path

import pytest

from chimera_s1.app.cli import application as cli
from chimera_s1.domain.errors import (
    ChimeraError,
    ConfigurationError,
    ExchangeUnavailableError,
    InvalidValueError,
    PublisherUnavailableError,
    RecordingDamagedError,
)


def run_raising(error: ChimeraError, monkeypatch: pytest.MonkeyPatch) -> int:
    def app(arguments: list[str], *, prog_name: str) -> None:
        assert arguments == ["tail"]
        assert prog_name == "chimera-s1"
        raise error

    monkeypatch.setattr(cli, "app", app)
    return cli.run_command(["tail"])


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigurationError("S1_X: no such setting"), 2),
        (InvalidValueError("'x' is not a symbol"), 2),
        (RecordingDamagedError("a.jsonl, line 3: truncated"), 2),
        (PublisherUnavailableError("Redis: connection refused"), 1),
        (ExchangeUnavailableError("no answer"), 1),
    ],
)
def test_a_chimera_error_is_one_sentence_and_an_exit_code(
    error: ChimeraError,
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run_raising(error, monkeypatch) == code
    assert capsys.readouterr().err == f"error: {error}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ("funding", "gaps", "--symbol"),
        ("funding", "verify", "--symbol"),
        ("funding", "show"),
        ("jobs", "run"),
        ("dead-letters", "show"),
        ("entries", "list", "--symbol"),
        ("entries", "show"),
    ],
)
def test_an_argument_that_is_not_utf_8_is_no_defect(
    arguments: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("S1_TOKEN", "some-token")
    not_utf_8 = "\udcff"  # as Python reads the byte FF of an argument
    options = ["--url", "http://127.0.0.1:1", "--state-dir", str(tmp_path)]
    try:
        code = cli.run_command([*arguments, not_utf_8, *options])
    except SystemExit as ended:
        code = int(ended.code or 0)

    assert code in {1, 2}
    assert capsys.readouterr().err.startswith("error: ")


def test_a_defect_keeps_its_traceback(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def app(_: list[str], *, prog_name: str) -> None:
        raise ZeroDivisionError(prog_name)

    monkeypatch.setattr(cli, "app", app)
    with pytest.raises(ZeroDivisionError):
        cli.run_command([])
