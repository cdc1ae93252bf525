"""What a newcomer does in the first minute, in a real browser, with the real bot."""

import re

import pytest
from playwright.async_api import async_playwright, expect

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]


@pytest.fixture(scope="module")
async def browser(chromium):
    async with async_playwright() as playwright:
        running = await playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield running
        await running.close()


@pytest.fixture(params=[(1280, 800), (390, 844)], ids=["desktop", "phone"])
async def page(request, browser, sandbox, mara):
    width, height = request.param
    for channel in sandbox.discord.world.channels.values():
        sandbox.discord.messages_in(channel).clear()
    context = await browser.new_context(
        viewport={"width": width, "height": height}, has_touch=width < 500, is_mobile=width < 500
    )
    shown = await context.new_page()
    problems = []
    shown.on("pageerror", lambda error: problems.append(str(error)))
    shown.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    await shown.goto(sandbox.url)
    yield shown
    assert problems == []
    await context.close()


async def type_command(page, text: str):
    await page.get_by_role("textbox").first.fill(text)
    await page.keyboard.press("Enter")


async def test_quote_then_gamma_then_the_week(page):
    articles = page.get_by_role("article")
    await type_command(page, "/quote symbols:SPY")
    quoted = articles.filter(has_text=re.compile(r"SPY \d{3}\.\d\d")).last
    await expect(quoted.get_by_text("Bid / ask")).to_be_visible()
    await expect(quoted.get_by_text("Alpaca IEX")).to_be_visible()
    await quoted.get_by_role("button", name="Refresh").click()
    await quoted.get_by_role("button", name="Gamma").click()

    drawn = articles.filter(has=page.get_by_role("img", name=re.compile("gamma", re.IGNORECASE))).last
    picture = drawn.get_by_role("img", name=re.compile("call wall", re.IGNORECASE))
    await expect(picture).to_be_visible()
    loaded = "image => image.complete && image.naturalWidth"
    await page.wait_for_function(
        "image => image.complete && image.naturalWidth > 0", arg=await picture.element_handle()
    )
    assert await picture.evaluate(loaded) == 1200
    await drawn.get_by_role("button", name="Week").click()
    await expect(drawn.get_by_text("this week")).to_be_visible()
    overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert await page.evaluate(overflow) == 0


async def test_a_mistyped_symbol_is_answered_for_this_person_only(page):
    await type_command(page, "/quote symbols:APPL")
    refusal = page.get_by_role("article").filter(has_text="I do not know APPL").last
    await expect(refusal).to_contain_text("AAPL")
    await expect(refusal).to_contain_text("Only you can see this")
