"""What a person does with the commands /quote and /gamma that each foreign client offers."""


async def use_everything(person):
    assert [choice["value"] for choice in await person.type("quote", symbol="sp").choices()] == ["SPY", "SPX"]
    answer = await person.command("quote", symbol="SPY").message()
    assert answer["content"] == "SPY 601.20"
    assert answer["embeds"][0]["fields"][0]["value"] == "601.19"
    assert (await person.press(answer, "Refresh").message())["content"] == "refreshed"
    assert (await person.choose(answer, "expiry", "week").message())["content"] == "expiry week"
    opened = person.press(answer, "Alert me")
    assert (await opened.modal())["title"] == "Alert"
    stored = await person.submit(opened, level="600").message()
    assert (stored["content"], stored["flags"] & 64) == ("Alert at 600", 64)
    gamma = person.command("gamma", symbol="SPX")
    picture = await gamma.message()
    assert picture["content"] == "Gamma of SPX"
    assert [file["filename"] for file in picture["attachments"]] == ["gamma.png"]
    assert (await gamma.followup())["flags"] & 64
