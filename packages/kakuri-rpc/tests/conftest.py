import pytest
from kakuri_rpc import AgentClient


@pytest.fixture
async def clients():
    """Return a function that makes a client, which is closed after the test."""
    made = []

    def make(endpoint, **options):
        made.append(AgentClient(endpoint, **options))
        return made[-1]

    yield make
    for client in made:
        await client.close()
