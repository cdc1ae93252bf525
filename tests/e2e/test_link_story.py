"""What a member does with their own broker: link, activate, read, lose, link again, end."""

import asyncio
import re
from itertools import count
from urllib.parse import urlsplit

import httpx
import pytest
from running import until
from test_market_commands import fields, labels
from test_orders_story import becomes, press

PRIVATE = 64
_VISITORS = count(1)


class Browser:
    """Somebody's browser: its cookies, and the person who is signed in to Discord and to brokers with it."""

    def __init__(self, http: httpx.AsyncClient, person: str) -> None:
        self._http, self._person = http, person

    async def link(self, url: str, **choices: str) -> httpx.Response:
        """Go from the button in Discord to the broker and back, as far as it leads."""
        consent = await self.sign_in(url)
        return await self.allow(consent, **choices)

    async def open(self, url: str) -> httpx.Response:
        """Open the link, and press nothing."""
        return await self._http.get(url)

    async def sign_in(self, url: str) -> httpx.Response:
        """Open the link and sign in with Discord."""
        discord = await self._send(await self.open(url), url)
        back = await self._http.post(discord.headers["Location"], data={"person": self._person, "decision": "allow"})
        return await self._follow(back)

    async def allow(self, consent: httpx.Response, **choices: str) -> httpx.Response:
        """Press Continue on the consent page, and allow it at the broker."""
        assert "Let PulseEngine read" in consent.text
        broker = await self._send(consent, "/broker-oauth/initiate")
        form = {"person": self._person, "decision": "allow", **choices}
        return await self._follow(await self._http.post(broker.headers["Location"], data=form))

    async def _send(self, page: httpx.Response, action: str) -> httpx.Response:
        """Press the main button of a page of ours."""
        form = next(
            form for form in re.findall(r"<form.*?</form>", page.text, re.DOTALL) if urlsplit(action).path in form
        )
        fields = dict(re.findall(r'name="(\w+)" value="([^"]*)"', form))
        origin = f"{page.url.scheme}://{page.url.netloc.decode()}"
        sent = await self._http.post(page.url.join(action), data=fields, headers={"Origin": origin})
        assert sent.status_code == 303, sent.text
        return sent

    async def _follow(self, answer: httpx.Response) -> httpx.Response:
        while answer.is_redirect:
            answer = await self._http.get(answer.url.join(answer.headers["Location"]))
        return answer


@pytest.fixture
async def browse():
    """Opens browsers that know nothing of each other."""
    opened = []

    def browser(person: str) -> Browser:
        visitor = f"198.51.100.{next(_VISITORS)}"
        opened.append(httpx.AsyncClient(headers={"Accept": "text/html", "X-Forwarded-For": visitor}))
        return Browser(opened[-1], person)

    yield browser
    for http in opened:
        await http.aclose()


def address(message) -> str:
    return next(b["url"] for row in message["components"] for b in row["components"] if "url" in b)


async def source(person, symbol: str = "SPY") -> str:
    quoted = await person.command("quote", symbols=symbol).message()
    return fields(quoted)["Data"]


async def comes_from(person, name: str) -> None:
    """Wait until this source is asked: the bot hears of changed links from the database, a few milliseconds later."""
    async with asyncio.timeout(2):
        while name not in await source(person):
            await asyncio.sleep(0.02)


async def test_own_data_answers_its_owner_alone_until_the_broker_ends_it(mara, sandbox, product, browse):
    private, jonas = sandbox.discord.person("Mara", "dm"), sandbox.discord.person("Jonas", "dm")
    asked = await mara.command("link", broker="tradier").message()
    assert asked["flags"] & PRIVATE
    assert asked["content"].startswith("🔗 **Link Tradier** · the button works until <t:")
    done = await browse("mara").link(address(asked))
    assert "One press is left" in done.text
    ready = await becomes(mara, asked, r"\*\*Tradier ••\d{4}\*\* · 💵 \*\*LIVE\*\* · market data: activate\?")
    assert labels(ready) == ["Activate", "Discard"]
    assert "Alpaca IEX" in await source(private), "nothing is used before Activate"

    active = await press(mara, ready, "Activate")
    assert "gives you market data now" in active["content"]
    await comes_from(private, "your Tradier")
    assert "Alpaca IEX" in await source(mara), "everybody reads this one"
    assert "Alpaca IEX" in await source(jonas)
    listed = await mara.command("accounts").message()
    assert re.search(r"market data: \*\*Tradier ••\d{4}\*\*$", listed["content"])

    alone = await press(mara, active, "Market answers for me alone")
    assert "market answers **for you alone**" in alone["content"]
    assert alone["id"] != active["id"]
    assert "your Tradier" in await source(mara)

    sandbox.brokers.tradier.end("mara", "revoked")
    fallen = await private.command("quote", symbols="QQQ").message()
    assert "Alpaca IEX" in fields(fallen)["Data"]
    assert "Your Tradier comes first, but it does not know our access any more; `/accounts`" in fallen["content"]
    await until(lambda: any("signed out" in m["content"] for m in private.reads()))
    lost = private.reads()[-1]
    assert labels(lost) == ["Link again", "Unlink"]

    again = await press(private, lost, "Link again")
    assert again["flags"] & PRIVATE
    await browse("mara").link(address(again))
    await becomes(private, again, "gives you market data now")
    await comes_from(private, "your Tradier")

    choices = await mara.type("unlink", account="").choices()
    assert len(choices) == 1, "the same account is the same link"
    assert "no such link" in (await mara.command("unlink", account="99999").message())["content"]
    question = await mara.command("unlink", account=choices[0]["value"]).message()
    gone = await press(mara, question, "Unlink")
    assert re.match(r"✂️ \*\*Tradier ••\d{4}\*\* · unlinked$", gone["content"])
    await comes_from(private, "Alpaca IEX")
    await mara.command("settings", market_answers="everybody").message()


async def test_a_link_that_was_passed_on_links_nothing_and_both_are_told(mara, sandbox, product, browse):
    jonas = sandbox.discord.person("Jonas", "dm")
    choice = await mara.command("link").message()
    assert labels(choice) == ["Link Alpaca", "Link Tradier"]
    asked = await press(mara, choice, "Link Alpaca")
    stopped = await browse("jonas").sign_in(address(asked))
    assert "Let PulseEngine read" not in stopped.text
    await becomes(mara, asked, "Somebody else opened your link to Alpaca")
    await until(lambda: any("You opened somebody else's link to Alpaca" in m["content"] for m in jonas.reads()))
    assert "Continue with Discord" not in (await browse("mara").open(address(asked))).text, "it is void for her too"
    assert await product.services.links.list(mara.id) == ()


async def test_what_is_not_ones_own_is_discarded_and_never_used(mara, sandbox, product, browse):
    offered = await mara.type("link", broker="alp").choices()
    assert offered == [{"name": "Alpaca", "value": "alpaca"}]
    asked = await mara.command("link", broker="Alpaca ").message()
    await browse("mara").link(address(asked), mode="live")
    ready = await becomes(mara, asked, r"\*\*Alpaca ••\d{4}\*\* · 💵 \*\*LIVE\*\* · market data: activate\?")
    listed = await mara.command("accounts").message()
    assert re.search(r"\*\*Alpaca ••\d{4}\*\* waits for you to activate it$", listed["content"])
    gone = await press(mara, ready, "Discard")
    assert re.match(r"✖️ \*\*Alpaca ••\d{4}\*\* · not linked$", gone["content"])
    assert await product.services.links.list(mara.id) == ()
    name = next(label for label in labels(listed) if label.startswith("Activate"))
    assert "no such link" in (await press(mara, listed, name))["content"]
