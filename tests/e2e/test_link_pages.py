"""The pages between /link in Discord and Activate, in a real browser: at the size of a phone, and of a desk."""

import re

import pytest
from playwright.async_api import expect
from test_link_story import address
from test_story import browser  # noqa: F401 - a fixture

OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


@pytest.fixture(params=[(390, 844, "dark"), (1280, 800, "light")], ids=["phone", "desktop"])
async def page(request, browser, product):  # noqa: F811 - that fixture
    width, height, scheme = request.param
    context = await browser.new_context(
        viewport={"width": width, "height": height}, color_scheme=scheme, has_touch=width < 500, is_mobile=width < 500
    )
    shown = await context.new_page()
    problems = []
    shown.on("pageerror", lambda error: problems.append(str(error)))
    shown.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    yield shown
    assert problems == []  # nothing that the policy of a page forbids, its forms and their redirects included
    await context.close()


async def fits(page, heading):
    await expect(page.get_by_role("heading", level=1)).to_have_text(heading)
    assert await page.evaluate(OVERFLOW) == 0
    assert await page.evaluate("document.fonts.ready.then(() => document.fonts.check('600 1rem Inter'))")
    background = await page.evaluate("getComputedStyle(document.body).backgroundColor")
    dark = await page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
    assert background == ("rgb(11, 15, 23)" if dark else "rgb(255, 255, 255)")


async def test_a_person_links_an_account_and_may_go_back_and_load_again_on_the_way(
    mara, sandbox, product, page
):  # mara: a healed world
    aiko = sandbox.discord.person("Aiko")
    asked = await aiko.command("link", broker="alpaca").message()
    await page.goto(address(asked))
    await fits(page, "Link your Alpaca account")
    await page.reload()
    await page.get_by_role("button", name="Continue with Discord").click()
    await page.get_by_text("Aiko").click()
    await page.get_by_role("button", name="Authorize").click()

    await fits(page, "Let PulseEngine read your Alpaca market data?")
    assert page.url == f"{product.web_url}/connect/consent"
    await expect(page.get_by_text("Aiko (@aiko)")).to_be_visible()
    (cookie,) = [one for one in await page.context.cookies() if one["name"].endswith("pulse")]
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Lax")
    await page.get_by_role("button", name="Continue to Alpaca").click()
    await expect(page.get_by_role("button", name="Authorize")).to_be_visible()
    await page.go_back()
    await fits(page, "Let PulseEngine read your Alpaca market data?")
    await page.get_by_role("button", name="Continue to Alpaca").click()
    await page.get_by_text("Aiko").click()
    await page.get_by_text("Live").click()
    await page.get_by_role("button", name="Authorize").click()

    await fits(page, "One press is left, in Discord")
    assert re.fullmatch(rf"{product.web_url}/connect/done\?link=\d+", page.url)
    await expect(page.get_by_text(re.compile(r"••\d{4} LIVE"))).to_be_visible()
    await page.reload()
    await fits(page, "One press is left, in Discord")
    await page.go_back()
    assert "code=" not in page.url
    (link,) = await product.services.links.list(aiko.id)
    await product.services.links.discard(aiko.id, link.id)
