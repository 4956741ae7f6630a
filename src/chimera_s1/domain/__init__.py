"""The model of quotes, connections, clocks, health, ledgers and transfers.

Everything here is pure and synchronous. Time, chance and identifiers come in as arguments; the
standard library and msgspec are the only imports. Ports, the interfaces the model's users need from
the outside world, live in `domain.ports` and may import the model, never the reverse.
"""
