"""The identity of an installation in memory."""

from anyio.lowlevel import checkpoint

from chimera_s1.domain.ports.installation_store import InstallationFact


class MemoryInstallationStore:
    """Implements `domain.ports.installation_store.InstallationStore`."""

    def __init__(self) -> None:
        self.facts: dict[InstallationFact, str] = {}

    async def find(self, fact: InstallationFact) -> str:
        await checkpoint()
        return self.facts.get(fact, "")

    async def record(self, fact: InstallationFact, value: str) -> str:
        await checkpoint()
        return self.facts.setdefault(fact, value)
