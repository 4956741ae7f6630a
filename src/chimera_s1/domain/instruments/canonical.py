"""The hashes of an instrument's content."""

from chimera_s1.domain.canonical import canonical_hash
from chimera_s1.domain.instruments.instrument import InstrumentContent, InstrumentSpec


def spec_hash(content: InstrumentContent) -> str:
    """SHA-256 of the canonical content, hex."""
    return canonical_hash(content)


def listing_hash(spec: InstrumentSpec) -> str:
    """As `spec_hash`, of what exchangeInfo says alone."""
    return canonical_hash(spec)
