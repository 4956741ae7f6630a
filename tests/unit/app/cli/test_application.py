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


def test_a_defect_keeps_its_traceback(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def app(_: list[str], *, prog_name: str) -> None:
        raise ZeroDivisionError(prog_name)

    monkeypatch.setattr(cli, "app", app)
    with pytest.raises(ZeroDivisionError):
        cli.run_command([])
