"""Move USDT once: python move_money.py SPOT FUT 12.5"""

import asyncio
import os
import sys
from pathlib import Path
from typing import assert_never
from uuid import uuid4

import msgspec

from chimera_s1_client import (
    HttpSession,
    ProblemError,
    TransferClient,
    TransferFailed,
    TransferOk,
    TransferPending,
    TransferRequest,
    Wallet,
)


async def main(source: str, target: str, amount: str) -> None:
    request = TransferRequest(
        transfer_id=str(uuid4()), source=Wallet(source), target=Wallet(target), amount_usdt=amount
    )
    # On disk before it is sent: after a crash the same request is sent again, with the same id.
    Path(f"{request.transfer_id}.json").write_bytes(msgspec.json.encode(request))
    async with HttpSession(os.environ["S1_URL"], os.environ["S1_TOKEN"]) as session:
        client = TransferClient(session, on_wait=lambda cause, _: print("waiting:", cause))
        try:
            result = await client.transfer(request, wait_s=60)
        except ProblemError as error:
            raise SystemExit(f"refused, this request moves nothing: {error}") from error
    match result:
        case TransferOk():
            print("moved")
        case TransferFailed(message=message):
            print("not moved, and it will not be:", message)
        case TransferPending(message=message):
            print("not final, ask again later with the same request:", message)
        case _:
            assert_never(result)


asyncio.run(main(*sys.argv[1:]))
