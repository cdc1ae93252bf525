"""The sandbox's page in a real browser: what a newcomer does, with the keyboard, the mouse and on a phone."""

import asyncio
import io
import re
import struct
import time
import zlib

import discord
import pytest
from discord import app_commands
from playwright.async_api import async_playwright, expect
from running import TOKEN, sandbox_running
from standin import Client, connected

SYMBOLS = {"SPX": "S&P 500 Index", "SPY": "SPDR S&P 500 ETF Trust", "QQQ": "Invesco QQQ Trust"}
DESKTOP = {"viewport": {"width": 1280, "height": 800}}
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
NASTY = '<img src=x onerror="document.title=1"><script>document.title="owned"</script>'


def png(width, height):
    """A picture in one colour."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = (b"\0" + b"\x16\xc7\x9a" * width) * height
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


class AlertForm(discord.ui.Modal, title="Alert me"):
    level = discord.ui.Label(
        text="Level",
        description="The price to wait for",
        component=discord.ui.TextInput(custom_id="level", placeholder="600", min_length=2, max_length=10),
    )
    note = discord.ui.Label(
        text="Note",
        component=discord.ui.TextInput(custom_id="note", style=discord.TextStyle.paragraph, required=False),
    )

    async def on_submit(self, interaction):
        await interaction.response.send_message(f"Watching {self.level.component.value}", ephemeral=True)


class QuoteButtons(discord.ui.View):
    def __init__(self):
        super().__init__(timeout=None)
        self.add_item(discord.ui.Button(label="Docs", url="https://example.com/docs"))
        self.add_item(discord.ui.Button(label="Sold out", style=discord.ButtonStyle.danger, disabled=True))

    @discord.ui.button(label="Refresh", emoji="🔄", style=discord.ButtonStyle.primary, custom_id="refresh")
    async def refresh(self, interaction, _button):
        await interaction.response.edit_message(content="**SPY** 601.25")

    @discord.ui.button(label="Alert me", style=discord.ButtonStyle.success, custom_id="alert")
    async def alert(self, interaction, _button):
        await interaction.response.send_modal(AlertForm())

    @discord.ui.button(label="Silent", custom_id="silent")
    async def silent(self, _interaction, _button):
        pass

    @discord.ui.select(
        custom_id="expiry",
        placeholder="Choose an expiry",
        options=[
            discord.SelectOption(label="0DTE", description="Today"),
            discord.SelectOption(label="Week", description="Until Friday"),
        ],
    )
    async def expiry(self, interaction, select):
        await interaction.response.send_message(f"Only {select.values[0]}", ephemeral=True)


class Layout(discord.ui.LayoutView):
    box = discord.ui.Container(
        discord.ui.Section("### SPY", "600.12", accessory=discord.ui.Button(label="More", custom_id="more")),
        discord.ui.Separator(),
        discord.ui.TextDisplay("**Range** 598 to 602"),
        accent_colour=discord.Colour(0x16C79A),
    )


def bot():
    client = Client()
    tree = client.tree

    @tree.command(description="Price, change and range")
    @app_commands.describe(symbols="One or more symbols")
    async def quote(interaction: discord.Interaction, symbols: str):
        embed = discord.Embed(title=symbols, description=f"Updated <t:{int(interaction.created_at.timestamp())}:R>")
        for name in ("Bid", "Ask", "Range"):
            embed.add_field(name=name, value="600.10")
        await interaction.response.send_message("**SPY** 600.12", embed=embed, view=QuoteButtons())

    @tree.command(description="Gamma by strike")
    @app_commands.describe(symbol="What to draw", expiry="Which expiries count")
    @app_commands.choices(expiry=[app_commands.Choice(name=name, value=name.lower()) for name in ("All", "0DTE")])
    async def gamma(interaction: discord.Interaction, symbol: str, expiry: str = "all"):
        await interaction.response.defer()
        await asyncio.sleep(0.3)
        embed = discord.Embed(title=f"{symbol} {expiry}").set_image(url="attachment://gamma.png")
        picture = discord.File(io.BytesIO(png(600, 400)), "gamma.png", description=f"Gamma of {symbol} by strike")
        await interaction.edit_original_response(embed=embed, attachments=[picture])

    @quote.autocomplete("symbols")
    @gamma.autocomplete("symbol")
    async def suggest(_interaction: discord.Interaction, current: str):
        fits = [s for s, name in SYMBOLS.items() if current.lower() in f"{s} {name}".lower()]
        return [app_commands.Choice(name=f"{s} · {SYMBOLS[s]}", value=s) for s in fits]

    @tree.command(name="help", description="What this bot can do")
    async def help_(interaction: discord.Interaction):
        await interaction.response.send_message("Just for you", ephemeral=True)

    @tree.command(description="Repeat something")
    async def echo(interaction: discord.Interaction, text: str, times: app_commands.Range[int, 1, 5] = 1):
        await interaction.response.send_message(" ".join([text] * times))

    @tree.command(description="Show the newer components")
    async def layout(interaction: discord.Interaction):
        await interaction.response.send_message(view=Layout())

    @tree.command(description="Never answer")
    async def silence(_interaction: discord.Interaction):
        pass

    return client


@pytest.fixture(scope="module")
async def world():
    """A sandbox of its own with a small bot on it."""
    async with sandbox_running(answer_window_s=1.0) as sandbox, connected(sandbox.discord, bot(), token=TOKEN):
        yield sandbox


@pytest.fixture(scope="module")
async def browser(chromium):
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser
        await browser.close()


@pytest.fixture
async def visit(world, browser):
    """Open the page as someone in a fresh channel history; errors of the page fail the test."""
    contexts, errors = [], []

    async def open_page(person="mara", channel="trading-floor", line=None, **options):
        context = await browser.new_context(**(options or DESKTOP), locale="en-US", timezone_id="UTC")
        context.set_default_timeout(5000)
        contexts.append(context)
        if line:
            await context.route_web_socket(re.compile("/sandbox/ws"), line.connect)
        page = await context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        await page.goto(f"{world.url}/?as={person}#{channel}")
        await expect(composer(page)).to_be_visible()
        return page

    for channel in world.discord.world.channels.values():
        world.discord.messages_in(channel).clear()
    yield open_page
    for context in contexts:
        await context.close()
    await world.heal()
    assert errors == []


def composer(page):
    return page.get_by_test_id("composer")


def last(page):
    return page.get_by_role("article").last


async def say(page, line):
    await composer(page).fill(line)
    await composer(page).press("Enter")


async def overflow(page):
    return await page.evaluate("document.documentElement.scrollWidth - innerWidth")


async def test_a_newcomer_gets_a_quote_a_picture_and_help(product, sandbox, browser):
    page = await browser.new_page(**DESKTOP)
    await page.goto(sandbox.url)
    await page.get_by_role("button", name="/quote symbols:SPY").click()
    await expect(last(page).get_by_role("button", name="Refresh")).to_be_visible()
    await composer(page).focus()
    await page.keyboard.type("/gamma symbol:SPX")
    await page.keyboard.press("Enter")
    picture = last(page).get_by_role("img", name="SPX").first
    await expect(picture).to_be_visible()
    assert await picture.evaluate("async (img) => { await img.decode(); return img.naturalWidth }") > 600
    await last(page).get_by_role("button", name="0DTE").click()
    await expect(last(page)).to_contain_text("0DTE")
    await say(page, "/help")
    await last(page).get_by_role("button", name="/status").click()
    await page.keyboard.press("Enter")
    await expect(last(page)).to_contain_text("Gateway")
    await page.close()


async def test_a_command_is_picked_filled_and_sent_with_the_keyboard(visit):
    page = await visit()
    await composer(page).focus()
    await page.keyboard.type("/")
    await expect(page.get_by_role("option")).to_have_count(6)
    await page.keyboard.type("gam")
    await page.keyboard.press("Tab")
    await page.keyboard.type("etf")
    await expect(page.get_by_role("option", name="SPY")).to_be_visible()
    await page.keyboard.press("Enter")
    await expect(page.get_by_label("symbol", exact=True)).to_have_value("SPY · SPDR S&P 500 ETF Trust")
    await page.keyboard.press("Tab")
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("Enter")
    await page.keyboard.type("0")
    await page.keyboard.press("Enter")
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("PulseEngine is thinking…")).to_be_visible()
    await expect(last(page)).to_contain_text("SPY 0dte")
    await expect(last(page)).to_contain_text("Mara used /gamma")
    picture = last(page).get_by_role("img", name="Gamma of SPY by strike")
    assert await picture.evaluate("async (img) => { await img.decode(); return img.naturalWidth }") == 600
    await last(page).get_by_role("button", name="Enlarge: Gamma of SPY by strike").click()
    await expect(page.get_by_role("dialog", name="Picture")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("dialog", name="Picture")).to_be_hidden()


@pytest.mark.parametrize("line", ["/quote symbols:SPY", "/quote SPY"])
async def test_a_whole_command_may_be_pasted(visit, line):
    page = await visit()
    await say(page, line)
    await expect(last(page)).to_contain_text("SPY 600.12")
    await expect(composer(page)).to_have_value("")


async def test_a_whole_command_may_be_typed(visit):
    page = await visit()
    await composer(page).focus()
    await page.keyboard.type("/gamma symbol:SPX expiry:0DTE")
    await page.keyboard.press("Enter")
    await expect(last(page)).to_contain_text("SPX 0dte")


async def test_the_first_visit_suggests_what_to_do(visit):
    page = await visit()
    await expect(page.get_by_role("heading", name="Welcome to #trading-floor")).to_be_visible()
    for line in ("/gamma symbol:SPX", "/help"):
        await expect(page.get_by_role("button", name=line)).to_be_visible()
    await page.get_by_role("button", name="/quote symbols:SPY").click()
    await expect(last(page)).to_contain_text("SPY 600.12")


async def test_required_options_are_asked_for(visit):
    page = await visit()
    await say(page, "/echo")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("alert").filter(has_text="text is required")).to_be_visible()
    await page.keyboard.type("ho times:9")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("alert").filter(has_text="times must be between 1 and 5")).to_be_visible()
    await page.keyboard.press("Backspace")
    await page.keyboard.type("2")
    await page.keyboard.press("Enter")
    await expect(last(page)).to_contain_text("ho ho")


async def test_an_unknown_command_is_refused_in_words(visit):
    page = await visit()
    await say(page, "/nonsense SPY")
    await expect(page.get_by_role("alert").filter(has_text="There is no command /nonsense")).to_be_visible()


async def test_arrow_up_recalls_what_was_sent(visit):
    page = await visit()
    await say(page, "/echo text:one")
    await expect(last(page)).to_contain_text("one")
    await say(page, "two")
    await expect(last(page)).to_contain_text("two")
    await page.keyboard.press("ArrowUp")
    await page.keyboard.press("ArrowUp")
    await expect(composer(page)).to_have_value("/echo text:one")
    await page.keyboard.press("ArrowDown")
    await expect(composer(page)).to_have_value("two")


async def test_a_button_changes_its_message(visit):
    page = await visit()
    await say(page, "/quote SPY")
    message = last(page)
    await expect(message.get_by_role("button", name="Sold out")).to_be_disabled()
    await expect(message.get_by_role("link", name="Docs")).to_have_attribute("href", "https://example.com/docs")
    await message.get_by_role("button", name="Refresh").press("Enter")
    await expect(message).to_contain_text("SPY 601.25")
    await expect(message.get_by_role("button", name="Refresh")).to_be_focused()


async def test_a_form_is_filled_and_submitted(visit):
    page = await visit()
    await say(page, "/quote SPY")
    await last(page).get_by_role("button", name="Alert me").click()
    form = page.get_by_role("dialog", name="Alert me")
    await expect(form.get_by_label("Level")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(form.get_by_text("This field is required")).to_be_visible()
    await page.keyboard.type("6")
    await page.keyboard.press("Enter")
    await expect(form.get_by_text("At least 2 characters")).to_be_visible()
    await page.keyboard.type("00")
    await form.get_by_role("button", name="Submit").click()
    await expect(form).to_be_hidden()
    await expect(last(page)).to_contain_text("Watching 600")


async def test_a_value_is_chosen_from_a_select(visit):
    page = await visit()
    await say(page, "/quote SPY")
    select = last(page).get_by_role("button", name="Choose an expiry")
    await select.press("ArrowDown")
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("Enter")
    await expect(last(page)).to_contain_text("Only Week")


async def test_an_ephemeral_answer_is_seen_by_its_owner_only(visit):
    page = await visit()
    await say(page, "/help")
    await expect(last(page)).to_contain_text("Just for you")
    await expect(last(page)).to_contain_text("Only you can see this")
    await say(page, "hello all")
    await page.get_by_role("button", name="You speak as Mara").click()
    await page.get_by_role("menuitemradio", name="Jonas").click()
    await expect(page.get_by_role("button", name="You speak as Jonas")).to_be_visible()
    await expect(last(page)).to_contain_text("hello all")
    await expect(page.get_by_text("Just for you")).to_be_hidden()
    await page.get_by_role("button", name="You speak as Jonas").click()
    await page.get_by_role("menuitemradio", name="Mara").click()
    await page.get_by_role("button", name="Dismiss message").click()
    await expect(page.get_by_text("Just for you")).to_be_hidden()


async def test_two_people_read_each_other_at_once(visit):
    mara, jonas = await visit("mara"), await visit("jonas", "gamma-levels")
    await say(mara, "good morning")
    await expect(jonas.get_by_role("button", name="trading-floor unread")).to_be_visible()
    await jonas.get_by_role("button", name="trading-floor unread").click()
    await expect(last(jonas)).to_contain_text("good morning")


async def test_commands_work_in_direct_messages(visit):
    page = await visit(channel="dm")
    await say(page, "/echo text:privately")
    await expect(last(page)).to_contain_text("privately")


async def test_what_people_write_is_never_read_as_html(visit):
    page = await visit()
    await say(page, NASTY)
    await expect(last(page)).to_contain_text(NASTY)
    await say(page, f"/echo text:{NASTY}")
    await expect(last(page)).to_contain_text(NASTY)
    await say(page, f"**{NASTY}** [click](javascript:alert) ||{NASTY}||")
    await expect(last(page)).to_contain_text("[click](javascript:alert)")
    assert await page.locator("[role=log] :is(script, img)").count() == 0
    assert await page.title() == "#trading-floor · PulseEngine sandbox"


async def test_markdown_looks_as_it_does_on_discord(visit, world):
    page = await visit()
    jonas = world.discord.world.user("Jonas")
    text = "# Title\n**bold** __under__ *it* ~~gone~~ `a*b*` snake_case_name\n> quoted\n- one\n  - two\n-# small\n"
    await composer(page).fill(
        text + f"```py\nx < 1\n```<@{jonas.id}> ||secret|| <t:86400:D> https://example.com/a_b_c."
    )
    await composer(page).press("Enter")
    message = last(page)
    await expect(message.get_by_role("heading", name="Title")).to_be_visible()
    for tag, words in {"strong": "bold", "u": "under", "em": "it", "s": "gone", "blockquote": "quoted"}.items():
        await expect(message.locator(tag)).to_have_text(words)
    await expect(message.locator("li li")).to_have_text("two")
    await expect(message.locator("pre")).to_have_text("x < 1")
    await expect(message.locator(":not(pre) > code")).to_have_text("a*b*")
    await expect(message).to_contain_text("snake_case_name")
    await expect(message).to_contain_text("@Jonas")
    await expect(message.locator("time.timestamp")).to_have_text("January 2, 1970")
    await expect(message.get_by_role("link")).to_have_attribute("href", "https://example.com/a_b_c")
    await message.get_by_role("button", name="Spoiler").press("Enter")
    await expect(message.get_by_text("secret")).to_be_visible()


async def test_silence_of_the_bot_is_said(visit):
    page = await visit()
    await say(page, "/quote SPY")
    await last(page).get_by_role("button", name="Silent").click()
    await say(page, "/silence")
    await expect(page.get_by_text("Sending command…")).to_be_visible()
    await expect(last(page)).to_contain_text("The application did not respond")
    await expect(page.get_by_text("This interaction failed: The application did not respond")).to_be_visible()


class Line:
    """The way between page and sandbox, which can be cut."""

    def __init__(self):
        self.sockets, self.cut = [], False

    def connect(self, socket):
        self.sockets.append(socket)
        if not self.cut:
            socket.connect_to_server()

    async def go(self):
        self.cut = True
        await asyncio.gather(*(socket.close() for socket in self.sockets))


async def test_a_lost_line_is_said_and_mended(visit, world):
    line = Line()
    page = await visit(line=line)
    await say(page, "before")
    await expect(last(page)).to_contain_text("before")
    await line.go()
    lost = page.get_by_role("status").filter(has_text="cannot be reached")
    await expect(lost).to_be_visible()
    await world.discord.person("Mara").command("echo", text="meanwhile").message()
    line.cut = False
    await asyncio.gather(*(socket.close() for socket in line.sockets))
    await expect(last(page)).to_contain_text("meanwhile", timeout=8000)
    await expect(lost).to_be_hidden()


async def test_an_absent_bot_is_said(visit, world):
    page = await visit()
    world.discord.pages.publish("BOT_PRESENCE", {"online": False})
    await expect(page.get_by_role("status").filter(has_text="PulseEngine is offline")).to_be_visible()
    world.discord.pages.publish("BOT_PRESENCE", {"online": True})
    await expect(page.get_by_role("status").filter(has_text="PulseEngine is offline")).to_be_hidden()


async def test_times_are_told_by_the_nearer_clock_in_the_words_of_the_reader(visit, world):
    page = await visit("jonas")
    await expect(page.get_by_test_id("market-time")).to_have_text(re.compile(r"\d\d:\d\d:\d\d"))
    moments = (time.time() - 125, world.market.now().timestamp() + 125)
    await say(page, " ".join(f"<t:{int(moment)}:R>" for moment in moments))
    await expect(last(page).locator("time.timestamp").first).to_have_text("vor 2 Minuten")
    await expect(last(page).locator("time.timestamp").last).to_have_text("in 2 Minuten")


async def test_newer_components_are_shown(visit):
    page = await visit()
    await say(page, "/layout")
    await expect(last(page).get_by_role("heading", name="SPY")).to_be_visible()
    await expect(last(page).get_by_role("button", name="More")).to_be_visible()
    await expect(last(page).locator("strong")).to_have_text("Range")


async def test_the_world_panel_moves_the_market(visit, world):
    page = await visit()
    panel = page.get_by_role("complementary", name="World")
    await expect(panel.get_by_test_id("market-time")).to_have_text(re.compile(r"\d\d:\d\d:\d\d"))
    await panel.get_by_role("button", name="Pause the clock").click()
    await expect(panel.get_by_role("button", name="Let the clock run")).to_be_visible()
    assert world.market.clock.paused
    before = float(world.market.price("SPY", world.market.now().timestamp()))
    price = panel.get_by_role("listitem").filter(has=page.get_by_text("SPY", exact=True)).locator(".price")
    await expect(price).to_have_text(f"{before:.2f}")
    await panel.get_by_role("button", name="Move SPY +1 %").click()
    await expect(price).not_to_have_text(f"{before:.2f}")
    assert float(await price.inner_text()) == pytest.approx(before * 1.01, abs=0.02)
    await panel.get_by_role("button", name="To the close").click()
    await expect(panel.get_by_text("After hours").or_(panel.get_by_text("Market closed"))).to_be_visible()
    await panel.get_by_text("Faults", exact=True).click()
    await panel.get_by_role("button", name="Answer 429 once").click()
    await expect(panel.get_by_label("Faults that wait")).to_contain_text("rate limit")
    await panel.get_by_role("button", name="Clear all faults").click()
    await expect(panel.get_by_label("Faults that wait").get_by_role("listitem")).to_have_count(0)


async def test_everything_fits_a_phone(visit):
    page = await visit(**PHONE)
    await page.get_by_role("button", name="/gamma symbol:SPX").tap()
    await expect(last(page).get_by_role("img")).to_be_visible()
    await say(page, "/quote SPY")
    await expect(last(page)).to_contain_text("600.12")
    await say(page, "x" * 300 + "\n```\n" + "wide " * 60 + "\n```")
    await expect(last(page)).to_contain_text("wide")
    assert await overflow(page) == 0
    await composer(page).tap()
    await composer(page).fill("/")
    await page.get_by_role("option", name="/gamma").tap()
    await page.get_by_role("option", name="SPX").tap()
    assert await overflow(page) == 0
    await page.get_by_role("button", name="Send").tap()
    await expect(last(page)).to_contain_text("SPX all")
    await page.get_by_role("button", name="Channels").tap()
    await page.get_by_role("navigation", name="Channels").get_by_role("button", name="alerts-feed").tap()
    await expect(page.get_by_role("heading", name="Welcome to #alerts-feed")).to_be_visible()
    await page.get_by_role("button", name="World").first.tap()
    await expect(page.get_by_role("button", name="Move SPY +1 %")).to_be_visible()
    assert await overflow(page) == 0
    await page.get_by_role("button", name="Close the world panel").tap()
    await expect(page.get_by_role("button", name="Move SPY +1 %")).to_be_hidden()


async def test_touch_targets_are_large_enough(visit):
    page = await visit(**PHONE)
    await say(page, "/quote SPY")
    await expect(last(page)).to_contain_text("600.12")
    small = await page.evaluate(
        """[...document.querySelectorAll("button, textarea, .components a")]
          .filter((node) => node.checkVisibility() && node.getBoundingClientRect().height < 40)
          .map((node) => node.outerHTML)"""
    )
    assert small == []


async def test_text_is_readable(visit):
    page = await visit()
    await say(page, "/quote SPY")
    await expect(last(page)).to_contain_text("600.12")
    await say(page, "/help")
    await expect(last(page)).to_contain_text("Just for you")
    assert await page.evaluate(FAINT_TEXT) == []


FAINT_TEXT = """() => {
  const channels = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = (rgb) => rgb.slice(0, 3).map((value) => value / 255)
    .map((value) => (value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4))
    .reduce((sum, value, at) => sum + value * [0.2126, 0.7152, 0.0722][at], 0);
  const behind = (node) => {
    for (let at = node; at; at = at.parentElement) {
      const rgb = channels(getComputedStyle(at).backgroundColor);
      if (rgb[3] === undefined || rgb[3] === 1) return rgb;
    }
    return [0, 0, 0];
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const faint = [];
  while (walker.nextNode()) {
    const node = walker.currentNode.parentElement;
    const disabled = node.closest(":disabled");
    if (!walker.currentNode.data.trim() || disabled || !node.checkVisibility({ opacityProperty: true })) continue;
    const [high, low] = [light(channels(getComputedStyle(node).color)), light(behind(node))].sort((a, b) => b - a);
    if ((high + 0.05) / (low + 0.05) < 4.5) faint.push(walker.currentNode.data);
  }
  return faint;
}"""
