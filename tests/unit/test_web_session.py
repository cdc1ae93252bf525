from ipaddress import ip_network

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from services.web_sessions import csrf_token, new_secret
from web.connect import _siblings
from web.middleware import harden
from web.session import BROWSERS, Browsers

HOME = "https://pulse.example.com"


def browsers(url=HOME, proxies=()):
    return Browsers(url, [ip_network(proxy) for proxy in proxies], None)


def request(method="GET", path="/", peer="203.0.113.7", **headers):
    asked = make_mocked_request(method, path, headers={k.replace("_", "-"): v for k, v in headers.items()})
    return asked.clone(remote=peer)


def cookie_header(url):
    answer = web.Response()
    browsers(url).remember(answer, new_secret())
    return answer.cookies.output(header="").strip()


def test_the_cookie_is_kept_from_scripts_from_other_hosts_and_from_other_sites():
    name, *flags = cookie_header(HOME).split("; ")
    assert name.startswith("__Host-pulse=")
    assert set(flags) == {"HttpOnly", "Path=/", "SameSite=Lax", "Secure"}  # no Domain, no Max-Age


def test_on_this_machine_without_tls_the_cookie_is_one_that_safari_keeps():
    name, *flags = cookie_header("http://127.0.0.1:8081").split("; ")
    assert name.startswith("pulse=")
    assert set(flags) == {"HttpOnly", "Path=/", "SameSite=Lax"}


def test_the_cookie_is_taken_away_under_the_conditions_that_it_was_given():
    answer = web.Response()
    browsers().forget(answer)
    name, *flags = answer.cookies.output(header="").strip().split("; ")
    assert name == '__Host-pulse=""'
    assert {"Secure", "Path=/", "Max-Age=0"} <= set(flags)


@pytest.mark.parametrize("value", ["", "short", "a" * 42, "a" * 44, "a" * 42 + "=", "ä" * 43])
def test_a_cookie_that_is_none_of_ours_is_as_good_as_none(value):
    assert browsers().cookie(request(Cookie=f"__Host-pulse={value}")) is None


def test_a_cookie_of_the_plain_name_is_not_taken_over_tls():
    secret = new_secret()
    assert browsers().cookie(request(Cookie=f"pulse={secret}")) is None
    assert browsers().cookie(request(Cookie=f"__Host-pulse={secret}")) == secret


def test_two_browsers_have_different_form_tokens_which_do_not_show_the_cookie():
    one, other = new_secret(), new_secret()
    assert csrf_token(one) == csrf_token(one) != csrf_token(other)
    assert one not in csrf_token(one)


@pytest.mark.parametrize(
    ("peer", "forwarded", "visitor"),
    [
        ("203.0.113.7", "198.51.100.1", "203.0.113.7"),  # not one of our proxies: whatever it says is its own idea
        ("10.0.0.9", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.9", "6.6.6.6, 198.51.100.1", "198.51.100.1"),  # what stands further left the visitor has written
        ("10.0.0.9", "198.51.100.1, 10.1.2.3", "198.51.100.1"),
        ("10.0.0.9", "", "10.0.0.9"),
        ("10.0.0.9", "10.0.0.8", "10.0.0.8"),
        ("10.0.0.9", "unknown", "unknown"),
        ("10.0.0.9", "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::7", "", "2001:db8:1:2::/64"),
        ("::ffff:10.0.0.9", "::ffff:198.51.100.1", "198.51.100.1"),
    ],
)
def test_who_visits_is_told_by_the_proxies_of_the_operator_alone(peer, forwarded, visitor):
    asked = request(peer=peer, **({"X_Forwarded_For": forwarded} if forwarded else {}))
    assert browsers(proxies=["10.0.0.0/8"]).network(asked) == visitor


def test_without_proxies_nothing_but_the_connection_counts():
    assert browsers().network(request(X_Forwarded_For="198.51.100.1")) == "203.0.113.7"


@pytest.mark.parametrize(
    ("host", "beside"),
    [
        ("app.alpaca.markets", " *.alpaca.markets"),
        ("api.tradier.com", " *.tradier.com"),
        ("broker.example:8443", ""),
        ("127.0.0.1:8080", ""),
        ("localhost:8080", ""),
        ("[::1]:8080", ""),
    ],
)
def test_a_form_may_be_sent_on_to_the_hosts_beside_the_brokers_and_no_further(host, beside):
    assert _siblings(host) == beside


@pytest.mark.parametrize(("url", "held"), [(HOME, "max-age=31536000"), ("http://127.0.0.1:8081", None)])
async def test_browsers_are_held_to_tls_where_there_is_some(url, held):
    async def page(_request):
        return web.Response(headers={"Referrer-Policy": "same-origin"})

    app = web.Application()
    app[BROWSERS] = browsers(url)
    answer = await harden(make_mocked_request("GET", "/", app=app), page)
    assert answer.headers.get("Strict-Transport-Security") == held
    assert answer.headers["Referrer-Policy"] == "same-origin"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Server"] == "pulse"
