"""Files of the public archive, good and bad."""

import hashlib
import io
import threading
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from chimera_s1.adapters.binance.archive.names import CHECKSUM_SUFFIX, ArchiveFileId
from chimera_s1.domain.funding.month import Month
from chimera_s1.domain.identifiers import Symbol
from chimera_s1.domain.operations.schedule import HOUR_MS

FILE = ArchiveFileId(Symbol("BTCUSDT"), Month(2026, 10))
HEADER = "calc_time,funding_interval_hours,last_funding_rate"


def csv_text(*lines: str, header: str = HEADER) -> bytes:
    return "\n".join([*([header] if header else []), *lines, ""]).encode()


def good_lines(count: int = 93, month: Month = FILE.month) -> list[str]:
    return [f"{month.start + at * 8 * HOUR_MS + at % 3},8,0.00010000" for at in range(count)]


def zipped(content: bytes, *names: str, level: int = 9) -> bytes:
    """*content* once for each of *names*; without one, as the archive names it."""
    return zip_of(((name, content) for name in names or (FILE.csv_name,)), level)


def zip_of(members: Iterable[tuple[str, bytes]], level: int = 9) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=level) as archive:
        for name, content in members:
            # With a fixed time: the same file in every worker that collects tests.
            member = zipfile.ZipInfo(name, date_time=(2026, 11, 1, 0, 0, 0))
            archive.writestr(member, content, zipfile.ZIP_DEFLATED, level)
    return buffer.getvalue()


def checksum_of(content: bytes, name: str = FILE.zip_name) -> bytes:
    return f"{hashlib.sha256(content).hexdigest()}  {name}\n".encode()


def write_file(folder: Path, file: ArchiveFileId, lines: Iterable[str]) -> Path:
    """A good file where the archive has it, with its checksum."""
    path = folder / file.path
    path.parent.mkdir(parents=True, exist_ok=True)
    content = zip_of([(file.csv_name, csv_text(*lines))])
    path.write_bytes(content)
    checksum = path.with_name(path.name + CHECKSUM_SUFFIX)
    checksum.write_bytes(checksum_of(content, file.zip_name))
    return path


class SilentFileRequests(SimpleHTTPRequestHandler):
    """Serves files, and logs nothing."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Nothing on standard error."""


@contextmanager
def file_server(folder: Path) -> Iterator[str]:
    """The URL of *folder*."""
    serve = partial(SilentFileRequests, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), serve) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


GOOD = zipped(csv_text(*good_lines()))
