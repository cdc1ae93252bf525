"""Takes the README's picture: `python tests/e2e/channel_picture.py` plays the story and writes sandbox/channel.png."""

import asyncio
import shutil
import sys
import tempfile
from datetime import datetime, time
from pathlib import Path

from playwright.async_api import Page, async_playwright, expect
from running import product_running, sandbox_running, take_port, until

sys.path.insert(0, str(Path(__file__).parents[1]))

from conftest import BROWSERS

from services.clock import NEW_YORK

TARGET = Path(__file__).parents[2] / "sandbox" / "channel.png"
VIEW = {"width": 1280, "height": 1404}
SYMBOL = "NVDA"


async def main() -> None:
    """Play it on the real product, as a person in a browser does."""
    async with sandbox_running() as sandbox, async_playwright() as playwright:
        sandbox.market.clock.turn(to=_alike(sandbox.market.now()))
        with tempfile.TemporaryDirectory() as home:
            async with product_running(sandbox.environment(), Path(home), take_port()) as product:
                await until(lambda: sandbox.discord.gateway.reachable and len(product.services.market.directory))
                browser = await playwright.chromium.launch(
                    executable_path=next(filter(None, map(shutil.which, BROWSERS))), args=["--no-sandbox"]
                )
                page = await browser.new_page(viewport=VIEW, locale="en-US", timezone_id="America/New_York")
                await page.goto(sandbox.url)
                await _play(page, sandbox)
                await page.screenshot(path=TARGET)
                await browser.close()


def _alike(now: datetime) -> datetime:
    """The market's day at our own time of day, where it is open then, so that all times in the picture agree."""
    here = datetime.now(NEW_YORK).time()
    return datetime.combine(now.astimezone(NEW_YORK), here, NEW_YORK) if time(9, 45) < here < time(15, 45) else now


async def _play(page: Page, sandbox) -> None:
    articles = page.get_by_role("article")
    await _type(page, f"/quote symbols:{SYMBOL}")
    await expect(articles.last.get_by_role("button", name="Refresh")).to_be_visible()
    await _type(page, f"/buy symbol:{SYMBOL} quantity:10")
    await articles.last.get_by_role("button", name="Confirm").click()
    await expect(articles.filter(has_text="Bought 10")).to_be_visible()
    price = sandbox.market.price(SYMBOL, sandbox.market.now().timestamp())
    level = round(price * 1.01)
    await _type(page, f"/alert symbol:{SYMBOL} condition:above value:{level}")
    await expect(articles.filter(has_text="Alert set")).to_be_visible()
    await articles.last.get_by_role("button", name="Dismiss message").click()
    await page.wait_for_timeout(1200)
    sandbox.market.nudge(SYMBOL, 100 * (level * 1.0007 / price - 1))
    fired = articles.filter(has_text="▲ above")
    await expect(fired).to_be_visible()
    await page.wait_for_timeout(1200)
    await _type(page, f"/sell symbol:{SYMBOL} quantity:5")
    await expect(articles.last.get_by_role("button", name="Confirm")).to_be_visible()
    await page.mouse.move(0, 0)
    await page.wait_for_timeout(300)


async def _type(page: Page, text: str) -> None:
    await page.get_by_role("textbox").first.fill(text)
    await page.keyboard.press("Enter")


if __name__ == "__main__":
    asyncio.run(main())
