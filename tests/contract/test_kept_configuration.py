"""The contract of `KeptConfiguration`, over memory and over a file."""

from pathlib import Path

import pytest

from chimera_s1.adapters.system.kept_configuration_file import FileKeptConfiguration
from chimera_s1.domain.errors import ConfigurationNotKeptError
from chimera_s1.domain.identifiers import InstrumentId
from chimera_s1.domain.operations.active_configuration import (
    ConfiguredInstrument,
    Snapshot,
    Thresholds,
)
from chimera_s1.domain.ports.kept_configuration import KeptConfiguration
from tests.fakes.configuration import MemoryKeptConfiguration

SOURCE = "http://10.0.0.10:8000"
CHINESE = ConfiguredInstrument(InstrumentId.parse("perp/币安人生USDT"), Thresholds(5.0, None))
REV_12 = Snapshot(12, Thresholds(0.1, 20000.0), (CHINESE,))
REV_13 = Snapshot(13, Thresholds(), ())


@pytest.fixture(params=["memory", "file"])
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> KeptConfiguration:
    if request.param == "memory":
        return MemoryKeptConfiguration()
    return FileKeptConfiguration(tmp_path / "state" / "s10-active.json", SOURCE)


async def test_the_last_snapshot_is_kept(kept: KeptConfiguration) -> None:
    assert await kept.load() is None
    for snapshot in (REV_12, REV_13, REV_12):
        await kept.save(snapshot)
        assert await kept.load() == snapshot


async def test_another_object_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "s10-active.json"
    await FileKeptConfiguration(path, SOURCE).save(REV_12)

    assert await FileKeptConfiguration(path, SOURCE).load() == REV_12


async def test_a_snapshot_of_another_s10_is_ignored(tmp_path: Path) -> None:
    path = tmp_path / "s10-active.json"
    await FileKeptConfiguration(path, SOURCE).save(REV_12)

    assert await FileKeptConfiguration(path, "http://other:8000").load() is None


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b'{"source":"x"}', b"\xff", b'{"source":"x","snapshot":{"rev":1}}'],
)
async def test_a_damaged_file_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "s10-active.json"
    path.write_bytes(content)

    with pytest.raises(ConfigurationNotKeptError, match="is damaged, remove it"):
        await FileKeptConfiguration(path, SOURCE).load()


async def test_a_directory_in_its_place_is_named(tmp_path: Path) -> None:
    kept = FileKeptConfiguration(tmp_path, SOURCE)

    with pytest.raises(ConfigurationNotKeptError, match="a directory, not a regular file"):
        await kept.load()
    with pytest.raises(ConfigurationNotKeptError, match=str(tmp_path)):
        await kept.save(REV_12)
