"""The vault: what nobody may read in the database, encrypted with keys that are kept outside of it.

AES-256-GCM (NIST SP 800-38D) with a random nonce. A blob is: format 1, length of the key's id, the id, nonce,
ciphertext with tag. All before the nonce, and the place that the blob belongs to, are authenticated: moved elsewhere
it does not open.
"""

import base64
import binascii
import re
import secrets
from collections.abc import Mapping
from typing import Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from services.errors import TokenUnreadable

_FORMAT = 1
_KEY_BYTES, _NONCE_BYTES = 32, 12
_ID = re.compile(r"[A-Za-z0-9_-]{1,32}")


def make_key() -> str:
    """Return a new key as SECRET_KEYS names it."""
    return f"k{secrets.token_hex(3)}:{base64.urlsafe_b64encode(secrets.token_bytes(_KEY_BYTES)).decode()}"


def read_keys(written: str) -> dict[str, bytes]:
    """Return the keys of SECRET_KEYS by their ids, in order. Raises ValueError, which quotes none of it."""
    keys: dict[str, bytes] = {}
    for pair in filter(None, (part.strip() for part in written.split(","))):
        name, _, key = pair.partition(":")
        if not _ID.fullmatch(name) or name in keys:
            raise ValueError("must be id:key, comma separated, each id once; `pulse vault key` makes one")
        keys[name] = _decoded(key)
    if not keys:
        raise ValueError("must hold at least one id:key; `pulse vault key` makes one")
    return keys


class Vault:
    """Encrypts with the first of its keys and opens what any of them has encrypted."""

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        self._keys = {name: AESGCM(key) for name, key in keys.items()}
        self.key = next(iter(keys), "")
        """The id of the key that encrypts; empty where there is none."""

    @classmethod
    def of(cls, written: str | None) -> Self:
        """Return the vault of SECRET_KEYS; without any it opens nothing."""
        return cls(read_keys(written) if written else {})

    @property
    def head(self) -> bytes:
        """How every blob under the first key begins."""
        return bytes([_FORMAT, len(self.key)]) + self.key.encode()

    def close(self, plain: bytes, *place: object) -> bytes:
        """Encrypt what belongs to a place: table, row and so on. Raises TokenUnreadable without a key."""
        if not self._keys:
            raise TokenUnreadable
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return self.head + nonce + self._keys[self.key].encrypt(nonce, plain, _bound(self.head, place))

    def open(self, blob: bytes, *place: object) -> bytes:
        """Return what was encrypted for this place. Raises TokenUnreadable: key missing, blob changed or moved."""
        head = blob[: 2 + (blob[1] if len(blob) > 1 else 0)]
        key = self._keys.get(head[2:].decode("ascii", "replace"))
        body = blob[len(head) :]
        if key is None or head[0] != _FORMAT or len(body) < _NONCE_BYTES:
            raise TokenUnreadable
        try:
            return key.decrypt(body[:_NONCE_BYTES], body[_NONCE_BYTES:], _bound(head, place))
        except InvalidTag as error:
            raise TokenUnreadable from error


def _bound(head: bytes, place: tuple[object, ...]) -> bytes:
    return b"\0".join([head, *(str(part).encode() for part in place)])


def _decoded(key: str) -> bytes:
    try:
        decoded = base64.b64decode(key.strip() + "=" * (-len(key.strip()) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        decoded = b""
    if len(decoded) != _KEY_BYTES:
        raise ValueError("each key must be 32 bytes as base64url; `pulse vault key` makes one")
    return decoded
