"""What a newcomer plays through in `make demo`: from a quote to a fill, and from an alert to the next order."""

import re
from decimal import Decimal

import pytest
from playwright.async_api import expect
from test_orders_story import press, price_of, settle_down
from test_story import browser, page, type_command  # noqa: F401 - browser and page are fixtures

OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


@pytest.fixture
async def anew(mara):
    """A paper account that nothing was bought with, and no alerts."""
    await press(mara, await mara.command("paper reset").message(), "Start anew")
    return mara


async def test_from_a_quote_to_a_fill_and_from_an_alert_to_the_next_order(anew, page, product, sandbox):  # noqa: F811 - page is that fixture
    articles = page.get_by_role("article")
    await type_command(page, "/quote symbols:QQQ")
    await expect(articles.filter(has_text=re.compile(r"QQQ \d{3}\.\d\d")).last).to_be_visible()

    await type_command(page, "/buy symbol:QQQ quantity:5")
    ticket = articles.filter(has_text="Nothing is sent before you confirm").last
    await expect(ticket).to_contain_text(re.compile(r"PAPER · Buy 5 QQQ at market · costs at most \$[\d,]+\.\d\d"))
    await expect(ticket).to_contain_text("Only you can see this")
    await ticket.get_by_role("button", name="Change size").click()
    form = page.get_by_role("dialog")
    await expect(form.get_by_role("textbox")).to_have_value("5")
    await form.get_by_role("textbox").fill("10")
    await form.get_by_role("button", name="Submit").click()
    ticket = articles.filter(has_text="Buy 10 QQQ at market").last
    await ticket.get_by_role("button", name="Confirm").click()
    filled = articles.filter(has_text=re.compile(r"PAPER · Bought 10 QQQ at \d{3}\.\d\d")).last
    await expect(filled).to_be_visible()
    await expect(filled.get_by_role("button", name="Confirm")).to_have_count(0)

    level = f"{await price_of(product, 'QQQ') * Decimal('1.01'):.2f}"
    await type_command(page, f"/alert symbol:QQQ condition:above value:{level}")
    await expect(articles.filter(has_text=f"Alert set: QQQ above {level}").last).to_be_visible()
    await settle_down(sandbox, "QQQ", 2.0)
    fired = articles.filter(has_text=f"QQQ ▲ above {level} · now").last
    await expect(fired).to_be_visible()
    await fired.get_by_role("button", name="Buy").click()
    await form.get_by_label("Shares").fill("3")
    await form.get_by_role("button", name="Submit").click()
    again = articles.filter(has_text="Buy 3 QQQ at market").last
    await expect(again).to_contain_text("Only you can see this")
    await again.get_by_role("button", name="Confirm").click()
    await expect(articles.filter(has_text="Bought 3 QQQ at").last).to_be_visible()
    assert await page.evaluate(OVERFLOW) == 0
    await settle_down(sandbox, "QQQ", -2.0)
