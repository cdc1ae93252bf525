"""Files that are kept outside PostgreSQL: in a folder, or in a bucket of any service that speaks S3."""

from collections.abc import AsyncIterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import obstore
import structlog
from obstore.exceptions import BaseError
from obstore.store import LocalStore, S3Store

from services.errors import PulseError, StorageUnavailable
from services.settings import Settings

if TYPE_CHECKING:  # obstore names its types in stubs alone
    from collections.abc import Iterator

    from obstore.store import BackoffConfig, ClientConfig, ObjectStore, RetryConfig

FOLDER = "storage"
MOST_AT_ONCE = 1000
CONNECT = timedelta(seconds=5)
REQUEST = timedelta(seconds=15)
RETRIES_WITHIN = timedelta(seconds=20)
BACKOFF: "BackoffConfig" = {"init_backoff": timedelta(milliseconds=100), "max_backoff": timedelta(seconds=2), "base": 2}

log = structlog.get_logger(__name__)


class Storage:
    """Whole files by key, such as `SPX/2026-11-20/1030.csv.gz`; every verb may raise StorageUnavailable."""

    def __init__(self, store: "ObjectStore") -> None:
        self._store = store

    async def put(self, key: str, data: bytes) -> None:
        """Keep a file, whole or not at all, in place of an earlier one."""
        with _failures():
            await obstore.put_async(self._store, key, data, use_multipart=False)

    async def get(self, key: str) -> bytes | None:
        """Return a file, None where there is none."""
        with _failures():
            try:
                answer = await obstore.get_async(self._store, key)
            except FileNotFoundError:
                return None
            return bytes(await answer.bytes_async())

    async def keys(self) -> AsyncIterator[Sequence[str]]:
        """Yield the keys of all files, many at once, in no order."""
        with _failures():
            async for some in obstore.list(self._store, chunk_size=MOST_AT_ONCE):
                yield [str(each["path"]) for each in some]

    async def delete(self, keys: Sequence[str]) -> None:
        """Remove files; those that are gone already are no failure."""
        for key in keys:
            with _failures():
                try:
                    await obstore.delete_async(self._store, key)
                except FileNotFoundError:
                    continue


def open_storage(settings: Settings) -> Storage:
    """Return the storage that the settings name; a bucket is asked with the first file.

    Raises PulseError where the folder cannot be made.
    """
    if settings.storage_url is None:
        return Storage(LocalStore(_folder(settings.pulse_home), automatic_cleanup=True))
    url = urlsplit(settings.storage_url)
    endpoint = str(settings.s3_endpoint).rstrip("/") if settings.s3_endpoint else None
    access: dict[str, Any] = {}
    if settings.s3_access_key and settings.s3_secret_key:
        access["access_key_id"] = settings.s3_access_key.get_secret_value()
        access["secret_access_key"] = settings.s3_secret_key.get_secret_value()
    if endpoint:
        access["endpoint"] = endpoint
    client: ClientConfig = {
        "allow_http": bool(endpoint and endpoint.startswith("http://")),
        "connect_timeout": CONNECT,
        "timeout": REQUEST,
    }
    retry: RetryConfig = {"max_retries": 2, "retry_timeout": RETRIES_WITHIN, "backoff": BACKOFF}
    return Storage(
        S3Store(
            url.netloc,
            prefix=url.path.strip("/") or None,
            region=settings.s3_region,
            client_options=client,
            retry_config=retry,
            disable_bulk_delete=True,  # some services that speak S3 have none
            **access,
        )
    )


def _folder(home: Path) -> Path:
    folder = home / FOLDER
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PulseError(
            f"files cannot be kept in {folder} ({error.strerror}): "
            "set PULSE_HOME to a folder of your own, or STORAGE_URL to a bucket"
        ) from error
    return folder


@contextmanager
def _failures() -> "Iterator[None]":
    try:
        yield
    except FileNotFoundError:
        raise
    except (BaseError, OSError) as error:
        # whole pages of a vendor's answer may follow the first line
        reason = str(error).strip().partition("\n")[0][:200]
        log.warning("storage away", reason=reason)
        raise StorageUnavailable from error
