"""Files in a folder and in a bucket: the same verbs, and nothing lost when either fails."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest
from aiohttp import web
from obstore.store import LocalStore, S3Store

from sandbox.s3 import Bucket
from services import storage
from services.errors import PulseError, StorageUnavailable
from services.settings import Settings
from services.storage import Storage, open_storage


def settings(home, **more) -> Settings:
    return Settings(_env_file=None, pulse_home=home, **more)


@asynccontextmanager
async def served(bucket: Bucket) -> AsyncIterator[str]:
    app = web.Application()
    app.add_routes(bucket.routes())
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@pytest.fixture
async def bucket(monkeypatch):
    monkeypatch.setattr(storage, "BACKOFF", {**storage.BACKOFF, "max_backoff": storage.BACKOFF["init_backoff"]})
    return Bucket("market-data")


@pytest.fixture
async def in_bucket(bucket, tmp_path):
    async with served(bucket) as url:
        yield open_storage(
            settings(
                tmp_path,
                storage_url="s3://market-data/pulse/chains",
                s3_endpoint=url,
                s3_access_key="AKIA",
                s3_secret_key="secret",
                s3_region="eu-central-1",
            )
        )


@pytest.fixture
def in_folder(tmp_path):
    return open_storage(settings(tmp_path))


@pytest.fixture(params=["folder", "bucket"])
def kept(request, in_folder, in_bucket) -> Storage:
    return in_folder if request.param == "folder" else in_bucket


async def keys(kept: Storage) -> list[str]:
    return sorted([key async for some in kept.keys() for key in some])  # noqa: SIM118 - no dictionary


async def test_a_file_comes_back_as_it_was_kept_and_goes_when_it_is_deleted(kept):
    await kept.put("SPX/2026-11-20/1030.csv.gz", b"one")
    await kept.put("SPX/2026-11-20/1030.csv.gz", b"two")
    await kept.put("BRK.B/2026-11-20/1035.csv.gz", b"")
    assert await kept.get("SPX/2026-11-20/1030.csv.gz") == b"two"
    assert await kept.get("BRK.B/2026-11-20/1035.csv.gz") == b""
    assert await kept.get("SPX/2026-11-20/1035.csv.gz") is None
    assert await keys(kept) == ["BRK.B/2026-11-20/1035.csv.gz", "SPX/2026-11-20/1030.csv.gz"]
    await kept.delete(["SPX/2026-11-20/1030.csv.gz", "SPX/2026-11-20/0000.csv.gz"])
    assert await keys(kept) == ["BRK.B/2026-11-20/1035.csv.gz"]


async def test_more_files_than_fit_on_a_page_are_all_listed(bucket, in_bucket):
    for number in range(2100):
        bucket.files[f"pulse/chains/SPX/2026-11-20/{number:04d}.csv.gz"] = b"", datetime.now(UTC)
    assert len(await keys(in_bucket)) == 2100
    assert bucket.requests == 3


async def test_the_folder_lies_under_pulse_home_and_the_bucket_keeps_to_its_prefix(
    tmp_path, in_folder, bucket, in_bucket
):
    await in_folder.put("SPY/2026-11-20/1030.csv.gz", b"x")
    await in_bucket.put("SPY/2026-11-20/1030.csv.gz", b"x")
    assert (tmp_path / "storage/SPY/2026-11-20/1030.csv.gz").read_bytes() == b"x"
    assert set(bucket.files) == {"pulse/chains/SPY/2026-11-20/1030.csv.gz"}


@pytest.mark.parametrize("fault", [500, 503])
async def test_a_passing_fault_of_the_bucket_is_not_noticed(bucket, in_bucket, fault):
    bucket.faults = [fault]
    await in_bucket.put("SPY/2026-11-20/1030.csv.gz", b"x")
    bucket.faults = [fault]
    assert await in_bucket.get("SPY/2026-11-20/1030.csv.gz") == b"x"


@pytest.mark.parametrize("faults", [[500] * 9, [403]])
async def test_a_fault_that_stays_is_told_in_words_without_secrets(bucket, in_bucket, faults):
    for work in (lambda: in_bucket.put("a", b"x"), lambda: in_bucket.get("a"), lambda: keys(in_bucket)):
        bucket.faults = list(faults)
        with pytest.raises(StorageUnavailable, match="stored files cannot be reached"):
            await work()
    assert "a" not in bucket.files


async def test_a_bucket_that_hangs_is_given_up(bucket, tmp_path, monkeypatch):
    monkeypatch.setattr(storage, "REQUEST", storage.CONNECT / 50)
    monkeypatch.setattr(storage, "RETRIES_WITHIN", storage.CONNECT / 20)
    async with served(bucket) as url:
        kept = open_storage(
            settings(tmp_path, storage_url="s3://market-data", s3_endpoint=url, s3_access_key="k", s3_secret_key="s")
        )
        bucket.faults = ["hang"] * 9
        with pytest.raises(StorageUnavailable):
            await kept.put("a", b"x")


async def test_the_log_of_a_fault_has_one_short_line(bucket, in_bucket, monkeypatch):
    lines = []
    monkeypatch.setattr(storage.log, "warning", lambda _event, **about: lines.append(about["reason"]))
    bucket.faults = [403]
    with pytest.raises(StorageUnavailable):
        await in_bucket.get("a")
    [reason] = lines
    assert 0 < len(reason) <= 200
    assert "\n" not in reason


async def test_folders_go_with_their_last_file(tmp_path, in_folder):
    await in_folder.put("SPY/2026-11-20/1030.csv.gz", b"x")
    await in_folder.put("SPY/2026-11-23/1030.csv.gz", b"x")
    await in_folder.delete(["SPY/2026-11-20/1030.csv.gz"])
    assert [each.name for each in (tmp_path / "storage/SPY").iterdir()] == ["2026-11-23"]
    await in_folder.delete(["SPY/2026-11-23/1030.csv.gz"])
    await in_folder.put("SPY/2026-11-24/1030.csv.gz", b"x")
    assert await keys(in_folder) == ["SPY/2026-11-24/1030.csv.gz"]


async def test_requests_are_signed(bucket):
    async with served(bucket) as url:
        unsigned = S3Store(
            "market-data", endpoint=url, skip_signature=True, region="x", client_options={"allow_http": True}
        )
        with pytest.raises(StorageUnavailable):
            await Storage(unsigned).put("a", b"x")


async def test_a_folder_that_cannot_be_written_is_told_in_words(tmp_path):
    kept = Storage(LocalStore(tmp_path))
    (tmp_path / "SPX").write_text("in the way")
    with pytest.raises(StorageUnavailable):
        await kept.put("SPX/2026-11-20/1030.csv.gz", b"x")


def test_a_home_that_cannot_be_used_is_told_in_words(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(PulseError, match="set PULSE_HOME to a folder of your own, or STORAGE_URL to a bucket"):
        open_storage(settings(tmp_path / "file"))


@pytest.mark.parametrize("url", ["bucket", "s3://", "https://bucket"])
def test_a_storage_url_that_names_no_bucket_is_refused(tmp_path, url):
    with pytest.raises(ValueError, match="s3://bucket"):
        settings(tmp_path, storage_url=url)
