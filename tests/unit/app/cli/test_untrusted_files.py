"""Every file that somebody else may have put there: no FIFO is waited for, and size is bounded."""

import os
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import pytest

from chimera_s1.adapters.market_file import read_market_file
from chimera_s1.adapters.redis.tls import TlsFiles, tls_context
from chimera_s1.adapters.simulator.streams.playback import PlayedFile, symbols_in
from chimera_s1.adapters.system.file_token_store import TOKEN_FILE_BYTES_MAX, read_token_file
from chimera_s1.adapters.system.secret_file import read_secret
from chimera_s1.app.cli.shared.stream_store_location import find_stream_store
from chimera_s1.app.cli.simulate.arguments import read_scenario
from chimera_s1.app.cli.transfer.saved_transfers import SavedTransfers
from chimera_s1.app.service_settings import load_settings
from chimera_s1.app.state_files import read_demo_state
from chimera_s1.domain.errors import ChimeraError

SETTINGS = load_settings({})


def read_saved_transfers(file: Path) -> object:
    directory = file.parent / "transfers"
    directory.mkdir()
    file.rename(directory / "x.json")
    return SavedTransfers(file.parent).unfinished()


def read_demo_file(file: Path) -> object:
    return read_demo_state(file.rename(file.with_name("demo.env")).parent)


READERS: dict[str, Callable[[Path], object]] = {
    "market file": lambda file: list(read_market_file(file)),
    "played file": lambda file: list(PlayedFile(file).records()),
    "symbols of a played file": symbols_in,
    "scenario": read_scenario,
    "token file": read_token_file,
    "secret": read_secret,
    "CA": lambda file: tls_context(TlsFiles(ca=file)),
    "certificate": lambda file: tls_context(TlsFiles(certificate=file, key=file)),
    "saved transfer": read_saved_transfers,
    "demo file": read_demo_file,
}


@pytest.mark.parametrize("reader", READERS)
def test_a_fifo_is_refused_at_once(reader: str, tmp_path: Path) -> None:
    file = tmp_path / "x"
    os.mkfifo(file, 0o600)

    with pytest.raises(ChimeraError, match="not a regular file"):
        READERS[reader](file)


@pytest.mark.parametrize("reader", READERS)
def test_a_file_without_an_end_is_bounded(reader: str, tmp_path: Path) -> None:
    """A hole of 64 MiB stands for it."""
    file = tmp_path / "x"
    file.touch(0o600)
    os.truncate(file, 16 * TOKEN_FILE_BYTES_MAX)
    skips_damaged_lines = reader == "played file"
    refused = pytest.raises(ChimeraError, match=r"larger than|longer than")

    with nullcontext() if skips_damaged_lines else refused:
        READERS[reader](file)


def test_a_fifo_in_place_of_the_services_file_is_no_service(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "service.env")

    assert find_stream_store(None, SETTINGS, tmp_path) is None
