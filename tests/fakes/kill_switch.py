"""A kill switch in memory."""

from anyio.lowlevel import checkpoint

from chimera_s1.domain.errors import PublisherUnavailableError


class MemoryKillSwitch:
    """Implements `domain.ports.kill_switch.KillSwitch`; reading raises while `on` is None."""

    def __init__(self, *, on: bool | None = False) -> None:
        self.on = on

    async def read(self) -> bool:
        await checkpoint()
        if self.on is None:
            raise PublisherUnavailableError("the kill switch cannot be read")
        return self.on
