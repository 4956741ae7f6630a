"""Print quotes with their state: python read_quotes.py spot/BTCUSDT perp/ETHUSDT"""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import assert_never

from chimera_s1_client import (
    ConditionChanged,
    EntriesMissing,
    Quote,
    ReaderOptions,
    RedisAccess,
    read_quotes,
)

POSITIONS = Path("positions.json")


async def main(instruments: list[str]) -> None:
    access = RedisAccess(addresses=os.environ["S1_REDIS_ADDRESSES"])
    positions = json.loads(POSITIONS.read_text()) if POSITIONS.exists() else {}
    async with read_quotes(access, instruments, ReaderOptions(positions=positions)) as quotes:
        async for update in quotes:
            match update:
                case Quote() if update.condition.trusted:
                    print("quote", update.instrument, update.bid, update.ask, flush=True)
                case Quote():
                    print("no trade on", update.instrument, update.condition.state, flush=True)
                case ConditionChanged(instrument, condition):
                    print("state", instrument, condition.state, condition.cause, flush=True)
                case EntriesMissing(instrument, after_id):
                    print("missed entries of", instrument, "after", after_id, flush=True)
                case _:
                    assert_never(update)
            save(quotes.positions())


def save(positions: dict[str, str]) -> None:
    new = POSITIONS.with_suffix(".new")
    new.write_text(json.dumps(positions))
    new.replace(POSITIONS)  # at once: a crash leaves the old file or the new one


asyncio.run(main(sys.argv[1:]))
