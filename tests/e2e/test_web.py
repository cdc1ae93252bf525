async def test_ready_when_every_part_works(product, sandbox):
    answer = await sandbox.http.get(f"{product.web_url}/readyz")
    assert answer.status_code == 200
    assert answer.json()["ready"]
    assert {"gateway", "worker", "database"} <= set(answer.json()["parts"])


async def test_alive_tells_the_lag_of_the_loop(product, sandbox):
    answer = (await sandbox.http.get(f"{product.web_url}/livez")).json()
    assert answer["alive"]
    assert 0 <= answer["loop_lag_ms"] < 1000


async def test_every_answer_carries_the_safe_headers_refusals_too(product, sandbox):
    for path in ("/livez", "/nowhere"):
        headers = (await sandbox.http.get(product.web_url + path)).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cache-Control"] == "no-store"
        assert "default-src 'none'" in headers["Content-Security-Policy"]


async def test_an_unknown_page_is_told_in_json(product, sandbox):
    answer = await sandbox.http.get(f"{product.web_url}/nowhere")
    assert (answer.status_code, answer.json()) == (404, {"error": "Not Found"})
