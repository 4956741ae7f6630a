"""A store that can be made to fail."""

from anyio.lowlevel import checkpoint

from chimera_s1.domain.errors import ChimeraError


class FakeStoreProbe:
    """Attributes: error: Raised by each check; None succeeds."""

    place = "the store of this test"

    def __init__(self) -> None:
        self.error: ChimeraError | None = None

    async def check(self) -> None:
        await checkpoint()
        if self.error is not None:
            raise self.error
