"""HTTP routes of instruments."""

from litestar.openapi.spec import Tag

from chimera_s1.app.capabilities.instruments.read_instruments import ReadInstruments
from chimera_s1.app.capabilities.instruments.run_syncs import RunSyncs
from chimera_s1.app.capabilities.instruments.web.problems import KIND_BY_ERROR
from chimera_s1.app.capabilities.instruments.web.routes import InstrumentsController
from chimera_s1.app.web.web_part import WebPart


def instruments_part(read: ReadInstruments, syncs: RunSyncs) -> WebPart:
    return WebPart(
        routes=(InstrumentsController,),
        dependencies={"read_instruments": read, "run_syncs": syncs},
        kind_by_error=KIND_BY_ERROR,
        tags=(
            Tag(
                name="instruments",
                description="Rules, dates and thresholds of what the venues list; the same values "
                "are in the collection `instrument_registry`.",
            ),
        ),
    )
