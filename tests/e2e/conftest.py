"""One world and one product for all tests that can share them."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from running import Product, Sandbox, product_running, sandbox_running, take_port, until


@pytest.fixture(scope="session")
def home(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("pulse")


@pytest.fixture(scope="session")
async def sandbox() -> AsyncIterator[Sandbox]:
    async with sandbox_running(record=True) as running:
        yield running


@pytest.fixture(scope="session")
async def product(sandbox, home) -> AsyncIterator[Product]:
    port = take_port()
    sandbox.register(f"http://127.0.0.1:{port}")
    async with product_running(sandbox.environment(), home, port) as running:
        await until(lambda: (part := running.services.health.parts.get("gateway")) and part.ok)
        await until(lambda: len(running.services.market.directory))
        yield running


@pytest.fixture
async def mara(sandbox, product):
    """The person who speaks by default, in a healed world whose sources may be asked again."""
    yield sandbox.discord.person("Mara")
    await sandbox.heal()
    feeds = product.services.market.feeds
    await until(lambda: not any(access.rest_s or access.quiet_s for feed in feeds for access in feed.access()))
