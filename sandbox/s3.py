"""A stand-in for S3: one bucket in memory, as much of the API as storing files takes, and its faults."""

import asyncio
from datetime import UTC, datetime
from hashlib import md5
from urllib.parse import quote, unquote
from xml.sax.saxutils import escape

from aiohttp import web

MOST_KEYS = 1000
_XMLNS = "http://s3.amazonaws.com/doc/2006-03-01/"


class Bucket:
    """Files by key; `faults` are statuses (or `hang`) that the next requests meet, in order."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.files: dict[str, tuple[bytes, datetime]] = {}
        self.faults: list[int | str] = []
        self.requests = 0

    def routes(self) -> list[web.RouteDef]:
        """Return GET, PUT and DELETE of files, and the list of the bucket, by path-style addresses."""
        one = f"/{self.name}/{{key:.+}}"
        return [
            web.get(f"/{self.name}", self._list),
            web.get(f"/{self.name}/", self._list),
            web.get(one, self._get),
            web.put(one, self._put),
            web.delete(one, self._delete),
        ]

    async def _put(self, request: web.Request) -> web.Response:
        await self._admit(request)
        data = await request.read()
        self.files[_key(request)] = data, datetime.now(UTC)
        return web.Response(headers={"ETag": _tag(data)})

    async def _get(self, request: web.Request) -> web.Response:
        await self._admit(request)
        found = self.files.get(_key(request))
        if found is None:
            raise _refusal(404, "NoSuchKey")
        data, at = found
        return web.Response(body=data, headers={"ETag": _tag(data), "Last-Modified": f"{at:%a, %d %b %Y %H:%M:%S} GMT"})

    async def _delete(self, request: web.Request) -> web.Response:
        await self._admit(request)
        self.files.pop(_key(request), None)
        return web.Response(status=204)

    async def _list(self, request: web.Request) -> web.Response:
        await self._admit(request)
        prefix, after = request.query.get("prefix", ""), request.query.get("continuation-token", "")
        keys = sorted(key for key in self.files if key.startswith(prefix) and key > after)
        page = keys[:MOST_KEYS]
        more = f"<NextContinuationToken>{escape(page[-1])}</NextContinuationToken>" if len(keys) > len(page) else ""
        contents = "".join(
            f"<Contents><Key>{escape(quote(key))}</Key><LastModified>{at:%Y-%m-%dT%H:%M:%S.000Z}</LastModified>"
            f"<ETag>{escape(_tag(data))}</ETag><Size>{len(data)}</Size><StorageClass>STANDARD</StorageClass></Contents>"
            for key, (data, at) in ((key, self.files[key]) for key in page)
        )
        body = (
            f'<?xml version="1.0" encoding="UTF-8"?><ListBucketResult xmlns="{_XMLNS}"><Name>{self.name}</Name>'
            f"<Prefix>{escape(prefix)}</Prefix><KeyCount>{len(page)}</KeyCount><MaxKeys>{MOST_KEYS}</MaxKeys>"
            f"<EncodingType>url</EncodingType><IsTruncated>{str(bool(more)).lower()}</IsTruncated>{more}{contents}"
            "</ListBucketResult>"
        )
        return web.Response(text=body, content_type="application/xml")

    async def _admit(self, request: web.Request) -> None:
        self.requests += 1
        fault = self.faults.pop(0) if self.faults else None
        if fault == "hang":
            await asyncio.sleep(60)
        if isinstance(fault, int):
            raise _refusal(fault, "InternalError" if fault >= 500 else "AccessDenied")
        signed = request.headers.get("Authorization", "").startswith("AWS4-HMAC-SHA256 Credential=")
        if not (signed and "x-amz-date" in request.headers and "x-amz-content-sha256" in request.headers):
            raise _refusal(403, "AccessDenied")


def _key(request: web.Request) -> str:
    return unquote(request.match_info["key"])


def _tag(data: bytes) -> str:
    return f'"{md5(data, usedforsecurity=False).hexdigest()}"'


def _refusal(status: int, code: str) -> web.HTTPException:
    body = f"<Error><Code>{code}</Code><Message>{code}</Message></Error>"
    kinds: dict[int, type[web.HTTPException]] = {403: web.HTTPForbidden, 404: web.HTTPNotFound}
    kind = kinds.get(status, web.HTTPServiceUnavailable if status == 503 else web.HTTPInternalServerError)
    return kind(text=body, content_type="application/xml")
