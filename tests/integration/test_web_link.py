import re
from datetime import timedelta

import pytest
from web_stage import leads_to, new_browser, query, running_stage, tidy_stage  # noqa: F401 - fixtures

from services import web_sessions
from services.web_sessions import digest, new_secret


async def test_the_whole_way_ends_with_a_link_that_waits_for_the_press_in_discord(stage, browser):
    first = await browser.open(await stage.link())
    assert "Link your Alpaca account" in first.text
    signing_in = await browser.press(first)
    asked = query(signing_in.headers["Location"])
    assert asked["scope"] == "identify"
    assert asked["code_challenge_method"] == "S256"
    assert len(asked["state"]) == 43
    arrived = await browser.open(await browser.answer(signing_in))
    assert leads_to(arrived, "/connect/consent")
    consent = await browser.open("/connect/consent")
    assert "Mara (@mara)" in consent.text
    back = await browser.open(await browser.answer(await browser.press(consent, "initiate"), mode="live"))
    assert leads_to(back, "/connect/done")
    assert set(query(back.headers["Location"])) == {"link"}  # neither code nor state stay in the address bar
    done = await browser.open(back.headers["Location"])
    assert "One press is left, in Discord" in done.text
    assert "LIVE" in done.text
    assert await stage.made("Mara") == [("alpaca", "pending")]


async def test_the_other_broker_is_asked_at_its_own_address_and_comes_back_to_its_own(stage, browser):
    back = await browser.way("Jonas", "tradier")
    assert leads_to(back, "/connect/done")
    assert str(back.request.url).startswith(f"{stage.url}/broker-oauth/callback/tradier?")
    assert await stage.made("Jonas") == [("tradier", "pending")]


async def test_opening_a_link_changes_nothing_however_often_and_whoever_does_it(stage, browser):
    link = await stage.link()
    for page in (await browser.open(link), await browser.open(link), await stage.browser().open(link)):
        assert page.status_code == 200
        assert "mara" not in page.text.lower()  # a robot that looks ahead does not learn who it is for
        assert page.headers["X-Robots-Tag"] == "noindex, nofollow"
    assert (await browser.http.head(link)).status_code == 200
    assert await stage.rows("SELECT * FROM app.web_sessions") == await stage.rows("SELECT * FROM app.sign_ins") == []
    assert await stage.rows("SELECT session FROM app.link_requests") == [(None,)]
    assert (await browser.consent(link)).status_code == 200


async def test_who_is_signed_in_already_goes_on_at_once(stage, browser):
    await browser.way()
    page = await browser.open(await stage.link(broker="tradier"))
    assert "Continue as <bdi>Mara (@mara)</bdi>" in page.text
    assert leads_to(await browser.press(page), "/connect/consent")
    assert "your Tradier market data" in (await browser.open("/connect/consent")).text


async def test_what_the_database_holds_opens_nothing(stage, browser):
    link = await stage.link()
    signing_in = await browser.press(await browser.open(link))
    secrets = [browser.cookie, query(signing_in.headers["Location"])["state"], link.rpartition("/")[2]]
    stored = repr(await stage.rows("SELECT * FROM app.sign_ins"))
    assert digest(secrets[0]) in [row[0] for row in await stage.rows("SELECT browser FROM app.sign_ins")]
    await browser.open(await browser.answer(signing_in))
    secrets.append(browser.cookie)
    stored += repr(await stage.rows("SELECT * FROM app.web_sessions"))
    assert not [secret for secret in secrets if secret in stored]


async def test_a_name_from_discord_can_neither_write_html_nor_turn_words_around(stage, browser, monkeypatch):
    link = await stage.link()
    monkeypatch.setattr(stage.discord.world.user("Mara"), "global_name", '<b>Moderator</b>"\u202e\u200fgro')
    consent = await browser.consent(link)
    assert "&lt;b&gt;Moderator&lt;/b&gt;&#34;gro (@mara)" in consent.text


# somebody opens what was made for somebody else


async def test_a_victim_who_opens_the_attackers_link_links_nothing_and_the_link_is_void(stage, browser):
    attackers = await stage.link("Jonas")
    victim = await browser.sign_in(attackers, "Mara")
    assert leads_to(victim, "/connect/stopped/wrong-person")
    assert "somebody else’s" in (await browser.open(victim.headers["Location"])).text
    assert "This link has ended" in (await stage.browser().open(attackers)).text
    told = await stage.rows("SELECT user_id, payload ->> 'why' FROM app.notices WHERE kind = 'link.refused'")
    assert sorted(told) == sorted(
        [(stage.person("Jonas"), "wrong_person_owner"), (stage.person("Mara"), "wrong_person_other")]
    )
    assert await stage.rows("SELECT * FROM app.web_sessions") == []


async def test_a_victim_who_is_signed_in_is_safe_from_it_too_and_is_signed_out(stage, browser):
    await browser.way("Mara")
    page = await browser.press(await browser.open(await stage.link("Jonas")))
    assert page.status_code == 403
    assert "somebody else’s" in page.text
    assert (await browser.open("/connect/consent")).status_code == 401
    assert await stage.made("Jonas") == []


async def test_a_victim_who_consents_on_the_attackers_broker_page_links_nothing(stage, browser):
    consent = await browser.consent(await stage.link("Jonas"), "Jonas")
    brokers_page = await browser.press(consent, "initiate")
    victim = stage.browser()
    back = await victim.answer(brokers_page, "Mara")
    assert leads_to(await victim.open(back), "/connect/stopped/signed-out")
    assert await stage.made("Jonas") == await stage.made("Mara") == []


async def test_nor_does_a_victim_who_is_signed_in_and_the_attackers_way_is_over(stage, browser):
    attacker, victim = browser, stage.browser()
    await victim.way("Mara", "tradier")
    page = await attacker.press(await attacker.consent(await stage.link("Jonas"), "Jonas"), "initiate")
    back = await victim.answer(page, "Mara")
    assert leads_to(await victim.open(back), "/connect/stopped/link-ended")
    assert leads_to(await attacker.open(back), "/connect/stopped/link-ended")
    assert await stage.made("Jonas") == []
    assert await stage.made("Mara") == [("tradier", "pending")]


async def test_an_attacker_cannot_sign_a_victim_in_as_the_attacker(stage, browser):
    attacker, victim = browser, stage.browser()
    signing_in = await attacker.press(await attacker.open(await stage.link("Jonas")))
    back = await attacker.answer(signing_in, "Jonas")
    await victim.open(await stage.link("Mara"))
    assert leads_to(await victim.open(back), "/connect/stopped/sign-in-ended")
    assert (await victim.open("/connect/consent")).status_code == 401
    assert leads_to(await attacker.open(back), "/connect/consent")  # the attempt of another browser does not use it up


async def test_a_cookie_that_was_planted_before_the_sign_in_opens_nothing_after_it(stage, browser):
    planted = new_secret()
    browser.http.cookies.set("pulse", planted, domain="127.0.0.1", path="/")
    await browser.consent(await stage.link())
    assert browser.cookie != planted
    attacker = stage.browser()
    attacker.http.cookies.set("pulse", planted, domain="127.0.0.1", path="/")
    assert (await attacker.open("/connect/consent")).status_code == 401


async def test_a_new_sign_in_ends_the_session_that_the_browser_had(stage, browser):
    await browser.consent(await stage.link())
    earlier = browser.cookie
    back = await browser.answer(await stage.sessions.begin(earlier, "a link"))
    arrival = await stage.sessions.finish(earlier, query(back))
    assert arrival.link == "a link"
    assert await stage.sessions.get(earlier) is None
    assert await stage.sessions.get(arrival.cookie) == arrival.person


# answers that come twice, late, or from nowhere


async def test_the_answer_of_discord_works_once(stage, browser):
    back = await browser.answer(await browser.press(await browser.open(await stage.link())))
    assert leads_to(await browser.open(back), "/connect/consent")
    assert leads_to(await browser.open(back), "/connect/stopped/sign-in-ended")
    assert (await browser.open("/connect/consent")).status_code == 200


async def test_a_sign_in_ends_after_ten_minutes(stage, browser):
    back = await browser.answer(await browser.press(await browser.open(await stage.link())))
    stage.clock.ahead = web_sessions.SIGN_IN_LASTS
    assert leads_to(await browser.open(back), "/connect/stopped/sign-in-ended")
    assert await stage.rows("SELECT * FROM app.web_sessions") == []


@pytest.mark.parametrize("changed", ["state", "code"])
async def test_an_answer_of_discord_that_was_made_up_signs_nobody_in(stage, browser, changed):
    back = await browser.answer(await browser.press(await browser.open(await stage.link())))
    made_up = re.sub(rf"{changed}=[^&]+", f"{changed}={new_secret()}", back)
    assert leads_to(await browser.open(made_up), "/connect/stopped/sign-in-ended")
    assert await stage.rows("SELECT * FROM app.web_sessions") == []


async def test_the_answer_of_the_broker_works_once(stage, browser):
    consent = await browser.consent(await stage.link())
    back = await browser.answer(await browser.press(consent, "initiate"))
    assert leads_to(await browser.open(back), "/connect/done")
    assert leads_to(await browser.open(back), "/connect/stopped/link-ended")
    assert await stage.made("Mara") == [("alpaca", "pending")]


async def test_the_answer_of_one_broker_is_not_taken_for_that_of_another(stage, browser):
    back = await browser.answer(await browser.press(await browser.consent(await stage.link()), "initiate"))
    assert leads_to(
        await browser.open(back.replace("callback/alpaca", "callback/tradier")), "/connect/stopped/link-ended"
    )
    assert leads_to(await browser.open(back.replace("callback/alpaca", "callback/nobody")), "/connect/stopped/nowhere")
    assert await stage.made("Mara") == []


async def test_a_robot_that_only_looks_does_not_use_an_answer_up(stage, browser):
    signed_in = await browser.answer(await browser.press(await browser.open(await stage.link())))
    assert leads_to(await browser.http.head(signed_in), "/connect/stopped/refused")
    assert leads_to(await browser.open(signed_in), "/connect/consent")
    back = await browser.answer(await browser.press(await browser.open("/connect/consent"), "initiate"))
    assert leads_to(await browser.http.head(back), "/connect/stopped/refused")
    assert leads_to(await browser.open(back), "/connect/done")


# tabs, back, reload


async def test_a_consent_page_leads_to_the_broker_that_it_names_whatever_another_tab_did(stage, browser):
    alpaca = await browser.consent(await stage.link(broker="alpaca"))
    await browser.press(await browser.open(await stage.link(broker="tradier")))
    stale = await browser.press(alpaca, "initiate")
    assert stale.status_code == 410
    assert "tradier" not in stale.headers.get("Location", "")
    now = await browser.press(await browser.open("/connect/consent"), "initiate")
    assert "/tradier/" in now.headers["Location"]


async def test_of_two_links_the_newer_works_and_a_second_sign_in_of_the_browser_needs_the_link_once_more(
    stage, browser
):
    older = await stage.link()
    older_page = await browser.open(older)
    newer = await stage.link(broker="tradier")
    first, second = [await browser.press(await browser.open(newer)) for _ in range(2)]
    assert (await browser.press(older_page)).status_code == 410
    assert leads_to(await browser.open(await browser.answer(first)), "/connect/consent")
    assert leads_to(await browser.open(await browser.answer(second)), "/connect/stopped/sign-in-ended")
    assert "your Tradier market data" in (await browser.open("/connect/consent")).text


async def test_back_from_the_broker_one_can_go_on_again_and_the_first_way_is_void(stage, browser):
    consent = await browser.consent(await stage.link())
    first = await browser.answer(await browser.press(consent, "initiate"))
    again = await browser.open("/connect/consent")
    second = await browser.answer(await browser.press(again, "initiate"))
    assert leads_to(await browser.open(first), "/connect/stopped/link-ended")
    assert leads_to(await browser.open(second), "/connect/done")


async def test_the_last_page_may_be_loaded_again_and_shows_what_became_of_the_link(stage, browser):
    done = (await browser.way()).headers["Location"]
    assert "One press is left" in (await browser.open(done)).text
    (link,) = await stage.links.list(stage.person("Mara"))
    await stage.links.activate(stage.person("Mara"), link.id)
    assert "There is nothing left to do" in (await browser.open(done)).text
    await stage.links.unlink(stage.person("Mara"), link.id)
    assert (await browser.open(done)).status_code == 410


async def test_the_last_page_of_a_broker_that_the_operator_took_away_shows_nothing(stage, browser, monkeypatch):
    place = (await browser.way()).headers["Location"]
    monkeypatch.delitem(stage.links.brokers, "alpaca")
    assert (await browser.open(place)).status_code == 410


async def test_nobody_sees_the_links_of_others_on_the_last_page(stage, browser):
    await stage.browser().way("Jonas")
    (link,) = await stage.links.list(stage.person("Jonas"))
    await browser.way("Mara")
    assert (await browser.open(f"/connect/done?link={link.id}")).status_code == 410


# sessions end


@pytest.mark.parametrize("step", ["consent", "initiate", "callback"])
async def test_a_session_that_ends_on_the_way_links_nothing_and_says_so(stage, browser, step):
    consent = await browser.consent(await stage.link())
    back = await browser.answer(await browser.press(consent, "initiate")) if step == "callback" else ""
    stage.clock.ahead = web_sessions.IDLE
    if step == "consent":
        assert (await browser.open("/connect/consent")).status_code == 401
    elif step == "initiate":
        assert (await browser.press(consent, "initiate")).status_code == 401
    else:
        assert leads_to(await browser.open(back), "/connect/stopped/signed-out")
    assert await stage.made("Mara") == []


async def test_a_session_ends_after_half_an_hour_without_a_click_and_after_half_a_day_with_them(stage, browser):
    await browser.consent(await stage.link())
    step = web_sessions.IDLE - timedelta(seconds=30)
    while stage.clock.ahead < web_sessions.LONGEST - step:
        stage.clock.ahead += step
        assert await stage.sessions.get(browser.cookie)
    stage.clock.ahead = web_sessions.LONGEST - timedelta(seconds=30)
    assert await stage.sessions.get(browser.cookie)
    stage.clock.ahead = web_sessions.LONGEST
    assert await stage.sessions.get(browser.cookie) is None


async def test_ended_sessions_and_sign_ins_are_not_kept(stage, browser):
    await browser.consent(await stage.link())
    await browser.press(await browser.open(await stage.link("Mara")))
    other, another = stage.browser(), stage.browser()
    await other.press(await other.open(await stage.link("Jonas")))
    assert await stage.rows("SELECT count(*) FROM app.sign_ins") == [(1,)]
    stage.clock.ahead = web_sessions.IDLE
    await another.press(await another.open(await stage.link("Jonas")))
    assert await stage.rows("SELECT count(*) FROM app.web_sessions") == [(0,)]
    assert await stage.rows("SELECT count(*) FROM app.sign_ins") == [(1,)]


async def test_cancel_signs_out(stage, browser):
    consent = await browser.consent(await stage.link())
    gone = await browser.press(consent, "cancel")
    assert leads_to(gone, "/connect/stopped/cancelled")
    assert browser.cookie is None
    assert (await browser.press(consent, "initiate")).status_code == 403
    assert await stage.rows("SELECT * FROM app.web_sessions") == []


# no is said, or nothing


async def test_who_cancels_at_discord_or_at_the_broker_is_told_that_nothing_was_linked(stage, browser):
    signing_in = await browser.press(await browser.open(await stage.link()))
    at_discord = await browser.open(await browser.answer(signing_in, decision="deny"))
    assert leads_to(at_discord, "/connect/stopped/sign-in-denied")
    page = await browser.press(await browser.consent(await stage.link()), "initiate")
    at_broker = await browser.open(await browser.answer(page, decision="deny"))
    assert leads_to(at_broker, "/connect/stopped/denied")
    assert "Nothing was linked" in (await browser.open(at_broker.headers["Location"])).text


async def test_an_account_that_another_member_has_stays_theirs(stage, browser):
    await stage.browser().way("Jonas")
    consent = await browser.consent(await stage.link("Mara"), "Mara")
    taken = await browser.open(await browser.answer(await browser.press(consent, "initiate"), "Jonas"))
    assert leads_to(taken, "/connect/stopped/taken")
    assert "jonas" not in (await browser.open(taken.headers["Location"])).text.lower()
    assert await stage.made("Mara") == []


async def test_while_discord_is_away_the_link_stays_good(stage, browser):
    link = await stage.link()
    signing_in = await browser.press(await browser.open(link))
    back = await browser.answer(signing_in)
    stage.discord.fault("server_error", path_contains="oauth2/token", status=502)
    assert leads_to(await browser.open(back), "/connect/stopped/discord-away")
    assert (await browser.consent(link)).status_code == 200
