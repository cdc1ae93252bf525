"""A member's own broker as a source: for them alone, asked first, and never in the way when it fails."""

import asyncio
from datetime import timedelta
from decimal import Decimal

import pytest
from feed_stage import FRIDAY
from own_stage import JONAS, MARA, NOBODY, outside, staged, until

from db.link_models import LinkState
from db.models import Theme
from services import own_sources
from services.directory import Directory
from services.errors import DatabaseAway, FeedUnavailable, UnknownSymbol
from services.feeds.base import Feed, Listing, Offer, Quote
from services.feeds.upstream import Patience
from services.lens import PLAIN
from services.levels import Levels
from services.links import Links
from services.own_sources import IDLE_S, MOST_KEPT, REFUSED_S
from services.plans import Kind, Plan
from services.price_history import PriceHistory
from services.ranges import Interval, Range
from services.vault import Vault, make_key
from services.wiring import MEMBERS_CONNECTIONS

SIGNED_OUT = "Your Tradier comes first, but it does not know our access any more; `/accounts` shows what to do."


@pytest.fixture(scope="module")
async def vendors():
    async with outside() as vendors:
        yield vendors


@pytest.fixture
async def stage(database, database_url, vendors):
    async with staged(database, database_url, *vendors) as stage:
        yield stage


def sources(board):
    return [line.quote.source for line in board.lines]


class Pool:
    """Does here what else goes to another process, and numbers the pictures."""

    def __init__(self):
        self.drawn = []

    async def run(self, work, *arguments):
        await asyncio.sleep(0)
        if not work.__name__.endswith("_picture"):
            return work(*arguments)
        self.drawn.append(work.__name__)
        return b"%d" % len(self.drawn)


async def test_what_only_the_owner_reads_comes_from_their_broker_and_all_else_from_the_shared_feeds(stage):
    await stage.link()
    mine, public, others = (
        await stage.reader(),
        await stage.reader(alone=False),
        await stage.reader(NOBODY),
    )
    assert sources(await mine.quotes(["SPY", "KO"])) == ["your Tradier"] * 2
    assert (await mine.chain("KO")).source == "your Tradier"
    assert (
        await mine.first(lambda market: market.bars("KO", timedelta(days=1), FRIDAY - timedelta(days=9), FRIDAY))
    ).source == ("your Tradier")
    assert not mine.away
    for reader in (public, others):
        assert sources(await reader.quotes(["SPY"])) == ["Alpaca IEX"]
        assert (await reader.chain("KO")).source == "Alpaca indicative"


async def test_who_has_no_link_costs_no_question_to_the_database(stage, monkeypatch):
    asked = []
    monkeypatch.setattr(Links, "data_access", lambda _self, user: asked.append(user))
    assert not stage.own.owned_by(NOBODY)
    assert sources(await (await stage.reader(NOBODY)).quotes(["SPY"])) == ["Alpaca IEX"]
    assert not asked


async def test_after_a_start_the_owners_are_known_at_once(stage, database_url):
    await stage.link()
    stage.own._owners.clear()
    running = asyncio.create_task(stage.own.run())
    await until(lambda: stage.own.owned_by(MARA))
    running.cancel()
    assert sources(await (await stage.reader()).quotes(["SPY"])) == ["your Tradier"]


async def test_after_a_start_without_a_database_the_owners_are_known_once_it_is_back(stage, monkeypatch):
    await stage.link()
    stage.own._owners.clear()
    links_owners, tries = Links.owners, []

    async def away_once(links):
        tries.append(links)
        if len(tries) == 1:
            raise DatabaseAway
        return await links_owners(links)

    monkeypatch.setattr(Links, "owners", away_once)
    running = asyncio.create_task(stage.own.run())
    await until(lambda: stage.own.owned_by(MARA))
    running.cancel()
    assert len(tries) == 2


async def test_two_members_with_their_own_chains_of_one_symbol_never_see_each_others(stage):
    await stage.link(MARA, "tradier", "mara")
    await stage.link(JONAS, "tradier", "jonas")
    readers = [await stage.reader(MARA), await stage.reader(JONAS), await stage.reader(NOBODY)]
    chains = await asyncio.gather(*(reader.chain("KO") for reader in readers for _ in range(5)))
    assert len({id(chain) for chain in chains}) == 3
    pool = Pool()
    levels, charts = Levels(pool), PriceHistory(Levels(pool), pool)
    pictures = await asyncio.gather(
        *(levels.picture(reader, "KO", PLAIN, Theme.DARK) for reader in readers for _ in range(5))
    )
    mine, theirs, ours = ({picture.png for picture in pictures[at : at + 5]} for at in (0, 5, 10))
    assert [len(each) for each in (mine, theirs, ours)] == [1, 1, 1]
    assert len(mine | theirs | ours) == 3
    assert pool.drawn.count("gamma_picture") == 3, "each once, however often it is asked for"
    # The market stands still: source and time of their candles are equal to the second, and yet they are two answers.
    drawn = [
        await charts.picture(each, "KO", Range.MONTH, Interval.DAY, Theme.DARK, with_levels=False) for each in readers
    ]
    assert drawn[0].series.source == drawn[1].series.source
    assert len({picture.png for picture in drawn}) == 3


FAILURES = [
    ({"kind": "status", "status": 429}, "slow down"),
    ({"kind": "rate_limit", "seconds": 17}, "slow down"),
    ({"kind": "status", "status": 502}, "error of its own, 502"),
    ({"kind": "status", "status": 403}, "it refused: "),
    ({"kind": "half"}, "connection broke"),
    ({"kind": "garbage"}, "nonsense"),
    ({"kind": "wrong"}, "nonsense"),
    ({"kind": "hang", "seconds": 30}, "no answer within"),
]


async def test_a_broker_that_fails_is_named_and_the_shared_feeds_answer(stage):
    for member, (fault, reason) in enumerate(FAILURES, 1):
        await stage.link(member)
        (await stage.own.of(member)).market.feeds[0]._patience = Patience(0.2, 0.2)
        await stage.fault(**fault, path_contains="/tradier/")
        reader = await stage.reader(member)
        assert sources(await reader.quotes(["SPY", "KO"])) == ["Alpaca IEX"] * 2
        assert (await reader.chain("KO")).source == "Alpaca indicative"
        assert reason in "".join(reader.away), fault
        assert all(sentence.startswith("Your Tradier comes first, but ") for sentence in reader.away)
        assert (await stage.links.list(member))[0].state is LinkState.ACTIVE
        await stage.heal()


async def test_half_a_chain_is_none_and_the_shared_one_is_shown(stage):
    await stage.link()
    await stage.fault(kind="status", status=500, path_contains="/tradier/v1/markets/options/chains")
    reader = await stage.reader()
    assert (await reader.chain("KO")).source == "Alpaca indicative"
    assert list(reader.away) == ["Your Tradier comes first, but it answered with an error of its own, 500."]
    assert sources(await reader.quotes(["KO"])) == ["your Tradier"], "what works goes on"


async def test_without_rights_to_options_the_shared_chain_is_shown(stage):
    await stage.link(broker="alpaca", mode="live")
    await stage.fault(kind="status", status=403, path_contains="/alpaca/live/v2/options")
    reader = await stage.reader()
    assert (await reader.chain("KO")).source == "Alpaca indicative"
    assert list(reader.away) == ["Your Alpaca comes first, but it refused: a fault of the sandbox."]
    assert (await stage.links.list(MARA))[0].state is LinkState.ACTIVE


async def test_what_the_broker_does_not_know_the_shared_feeds_are_asked_for_without_a_word(stage):
    class House(Feed):
        """Knows one symbol that no broker does."""

        name, offers = "house", frozenset({Offer.QUOTES})

        async def quotes(self, symbols):
            known = [symbol for symbol in symbols if symbol == "HOUSE"]
            return {symbol: Quote(symbol, Decimal(1), FRIDAY, "house", timedelta(0)) for symbol in known}

        def now(self):
            return FRIDAY

    stage.market._feeds.append(House())
    await stage.link()
    reader = await stage.reader()
    board = await reader.quotes(["HOUSE", "SPY", "NOSUCH"])
    assert [(line.quote.symbol, line.quote.source) for line in board.lines] == [
        ("HOUSE", "house"),
        ("SPY", "your Tradier"),
    ]
    assert list(board.missing) == ["NOSUCH"]
    assert not reader.away
    with pytest.raises(UnknownSymbol):
        await reader.quotes(["NOSUCH"])


async def test_when_nobody_answers_the_shared_reason_is_raised_and_the_own_one_kept(stage):
    await stage.link()
    await stage.fault(kind="status", status=500)
    reader = await stage.reader()
    with pytest.raises(FeedUnavailable, match="from Alpaca"):
        await reader.quotes(["SPY"])
    assert list(reader.away) == ["Your Tradier comes first, but it answered with an error of its own, 500."]


@pytest.mark.parametrize(
    ("person", "stocks", "options"),
    [("mara", "your Alpaca IEX", "your Alpaca indicative"), ("jonas", "your Alpaca SIP", "your Alpaca OPRA")],
)
async def test_alpaca_is_read_as_far_as_the_member_has_paid_for_it(stage, person, stocks, options):
    await stage.link(broker="alpaca", person=person, mode="live")
    for _ in range(2):
        reader = await stage.reader()
        (line,) = (await reader.quotes(["SPY"])).lines
        chain = await reader.chain("KO")
        bars = await reader.first(
            lambda market: market.bars("SPY", timedelta(days=1), FRIDAY - timedelta(days=9), FRIDAY)
        )
        assert (line.quote.source, bars.source, chain.source) == (stocks, stocks, options)
        assert line.quote.delay == timedelta(0)
        assert chain.delay == (timedelta(0) if person == "jonas" else timedelta(minutes=15))
        assert not reader.away
    assert await stage.asked("/alpaca/live/") == 1, "its own trading host, for the open interest"


async def test_what_a_subscription_lacks_is_asked_for_once(stage):
    await stage.link(broker="alpaca", mode="paper")
    before = await stage.asked("/v2/stocks/snapshots")
    for symbol in ("SPY", "KO", "QQQ"):
        await (await stage.reader()).quotes([symbol])
    assert await stage.asked("/v2/stocks/snapshots") - before == 4


async def test_a_token_that_the_broker_has_revoked_ends_the_link_and_asks_no_more(stage):
    await stage.link()
    assert sources(await (await stage.reader()).quotes(["SPY"])) == ["your Tradier"]
    stage.brokers.tradier.end("mara", "revoked")
    stage.own.clock.seconds += 2
    reader = await stage.reader()
    board, chain = await asyncio.gather(reader.quotes(["KO"]), reader.chain("QQQ"))
    assert sources(board) == ["Alpaca IEX"]
    assert chain.source == "Alpaca indicative"
    assert list(reader.away) == [SIGNED_OUT]
    await until(lambda: not stage.own._kept)
    assert (await stage.links.list(MARA))[0].state is LinkState.SIGNED_OUT
    asked = await stage.asked("/tradier/")
    after = await stage.reader()
    assert sources(await after.quotes(["AAPL"])) == ["Alpaca IEX"]
    assert not after.away, "the notice has said it"
    assert not stage.own.owned_by(MARA)
    assert await stage.asked("/tradier/") == asked


async def test_while_a_refused_token_is_dealt_with_it_is_not_sent_again(stage, monkeypatch):
    told, may_end = [], asyncio.Event()

    async def slowly(_links, connection_id, token):
        told.append((connection_id, token))
        await may_end.wait()

    monkeypatch.setattr(Links, "refused", slowly)
    number = await stage.link()
    stage.brokers.tradier.end("mara", "revoked")
    for symbol in ("SPY", "KO", "QQQ"):
        reader = await stage.reader()
        assert sources(await reader.quotes([symbol])) == ["Alpaca IEX"]
        assert list(reader.away) == [SIGNED_OUT]
    assert [connection for connection, _ in told] == [number]
    assert await stage.asked("/tradier/") == 1
    may_end.set()
    stage.own.clock.seconds += REFUSED_S + 1
    await (await stage.reader()).quotes(["SPY"])
    assert len(told) == 2, "nobody has said that there is another token: once more"


async def test_a_renewed_link_is_used_from_the_next_answer_on(stage):
    number = await stage.link()
    await (await stage.reader()).quotes(["SPY"])
    newer = await stage.link(person="jonas")  # the newest active one is asked
    reader = await stage.reader()
    await reader.quotes(["SPY"])
    assert [connection for connection, _ in stage.opened] == [number, newer]


async def test_a_link_that_is_dropped_under_way_does_not_break_the_answer(stage):
    number = await stage.link()
    await stage.fault(kind="hang", seconds=0.15, count=1, path_contains="/tradier/v1/markets/quotes")
    held, late = await stage.reader(), await stage.reader()
    asking = asyncio.create_task(held.chain("KO"))
    await asyncio.sleep(0.05)
    await stage.links.unlink(MARA, number)
    await until(lambda: not stage.own._kept)
    assert (await asking).source in {"your Tradier", "Alpaca indicative"}
    asked = await stage.asked("/tradier/")
    assert sources(await late.quotes(["SPY"])) == ["Alpaca IEX"], "who held the source asks it no more"
    assert await stage.asked("/tradier/") == asked
    assert type(await stage.reader()).__name__ == "Reader"


async def test_a_link_that_changes_while_it_is_read_is_read_again(stage, monkeypatch):
    number, read = await stage.link(), Links.data_access

    async def unlinked_meanwhile(links, user_id):
        access = await read(links, user_id)
        if access:
            await links.unlink(user_id, number)
            await until(lambda: user_id not in stage.own._kept)
        return access

    monkeypatch.setattr(Links, "data_access", unlinked_meanwhile)
    assert sources(await (await stage.reader()).quotes(["SPY"])) == ["Alpaca IEX"]


async def test_concurrent_answers_open_one_source(stage):
    await stage.link()
    readers = await asyncio.gather(*(stage.reader() for _ in range(20)))
    boards = await asyncio.gather(*(reader.quotes(["SPY"]) for reader in readers))
    assert len(stage.opened) == 1
    assert await stage.asked("/tradier/") == 1
    assert {source for board in boards for source in sources(board)} == {"your Tradier"}


async def test_an_answer_that_is_given_up_does_not_take_the_source_from_the_others(stage):
    await stage.link()
    async with stage.database.transaction() as conn:
        await conn.execute("LOCK TABLE app.user_broker_connections")
        given_up, waiting = (asyncio.create_task(stage.reader()) for _ in range(2))
        await asyncio.sleep(0.1)
        given_up.cancel()
        await asyncio.wait({given_up})
    assert sources(await (await waiting).quotes(["SPY"])) == ["your Tradier"]


async def test_fifty_members_at_once_share_so_many_connections(stage):
    members = range(1000, 1050)
    await asyncio.gather(*map(stage.link, members))
    await stage.fault(kind="hang", seconds=0.3, count=50, path_contains="/tradier/")
    readers = await asyncio.gather(*map(stage.reader, members))
    pool = (await stage.own.of(1000)).market.feeds[0]._api._client._transport._pool
    asking = asyncio.gather(*(reader.quotes(["KO"]) for reader in readers))
    most = 0
    while not asking.done():
        most = max(most, len(pool.connections))
        await asyncio.sleep(0.01)
    assert most == MEMBERS_CONNECTIONS
    assert [sources(board) for board in asking.result()] == [["your Tradier"]] * 50


async def test_no_more_sources_are_kept_than_fit_and_idle_ones_go(stage, monkeypatch):
    monkeypatch.setattr(own_sources, "MOST_KEPT", 2)
    assert MOST_KEPT == 64
    for member in (1, 2, 3):
        await stage.link(member)
    for member in (2, 1, 2, 3):
        await stage.reader(member)
    assert list(stage.own._kept) == [2, 3], "the one that was longest not used made room"
    stage.own.clock.seconds += IDLE_S / 2
    await stage.reader(3)
    stage.own.clock.seconds += IDLE_S / 2 + 1
    running = asyncio.create_task(stage.own.run())
    await until(lambda: list(stage.own._kept) == [3])
    running.cancel()
    assert sources(await (await stage.reader(1)).quotes(["SPY"])) == ["your Tradier"]


async def test_without_the_key_of_the_vault_the_reason_is_told_and_the_shared_feeds_answer(stage):
    await stage.link()
    stage.links._vault = Vault.of(make_key())
    reader = await stage.reader()
    assert sources(await reader.quotes(["SPY"])) == ["Alpaca IEX"]
    assert "SECRET_KEYS" in "".join(reader.away)
    stage.links._vault = stage.vault
    assert sources(await (await stage.reader()).quotes(["SPY"])) == ["your Tradier"]


async def test_while_the_database_hangs_the_answer_does_not_wait_for_it(stage, monkeypatch):
    async def hanging(_links, _user):
        await asyncio.sleep(30)

    await stage.link()
    monkeypatch.setattr(own_sources, "PATIENCE_S", 0.05)
    monkeypatch.setattr(Links, "data_access", hanging)
    reader = await stage.reader()
    assert sources(await reader.quotes(["SPY"])) == ["Alpaca IEX"]
    assert "our database is away" in "".join(reader.away)


async def test_what_stands_there_already_is_read_again_as_it_was(stage):
    await stage.link()
    drawn = await (await stage.reader()).chain("KO")
    asked = await stage.asked()
    again = await stage.readers.again(MARA, alone=True)
    assert await again.chain("KO") is drawn
    public = await stage.readers.again(MARA, alone=False)
    assert (await public.chain("KO")).source == "Alpaca indicative"
    assert stage.readers.kept_chain(MARA, "KO") is drawn
    assert stage.readers.kept_chain(NOBODY, "KO") is await public.chain("KO")
    assert await stage.asked() > asked
    used = await stage.readers._usage.today(MARA)
    assert used.used[Kind.CHAIN] == 1, "that was no use"


async def test_the_ages_of_the_plan_are_about_shared_data(stage, monkeypatch):
    monkeypatch.setattr("services.readers.LIVE_CHAIN", timedelta(0))
    monkeypatch.setattr("services.readers.LIVE_QUOTE", timedelta(0))
    stage.readers._usage._default = Plan.FREE
    await stage.link()
    (shared,) = (await (await stage.reader(alone=False)).quotes(["KO"])).lines
    public = await (await stage.reader(alone=False)).chain("KO")
    mine = [await (await stage.reader()).chain("KO") for _ in range(2)]
    assert mine[0] is not mine[1], "as fresh as the broker gives it"
    assert await (await stage.readers.again(MARA, alone=True)).chain("KO") is mine[1]
    await stage.fault(kind="status", status=502, path_contains="/tradier/")
    assert await (await stage.reader()).chain("KO") is public
    assert (await (await stage.reader()).quotes(["KO"])).lines[0].quote is shared.quote


async def test_names_of_companies_are_those_of_the_shared_list(stage):
    await stage.link(broker="alpaca", mode="paper")
    assert (await (await stage.reader()).quotes(["SPY"])).lines[0].quote.name is None
    stage.market.directory = Directory([Listing("SPY", "The S&P 500 fund")])
    assert (await (await stage.reader()).quotes(["SPY"])).lines[0].quote.name == "The S&P 500 fund"
