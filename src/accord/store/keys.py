"""Ed25519 keys that sign checkpoints: the secret one in a file only its owner reads, the public one
for everybody (RFC 8032, through the package cryptography)."""

from __future__ import annotations

import hashlib
import os
import secrets
import stat
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from accord.core.errors import ConfigError, StoreError
from accord.core.files import sync_folder, write_atomic


@dataclass(frozen=True, slots=True)
class PublicKey:
    """The half that checks signatures: 32 bytes."""

    raw: bytes

    @property
    def id(self) -> str:
        """First 16 digits of the SHA-256 of the key: short enough to read aloud."""
        return hashlib.sha256(self.raw).hexdigest()[:16]

    def signed(self, data: bytes, signature: bytes) -> bool:
        """Whether this key's other half signed `data`."""
        try:
            Ed25519PublicKey.from_public_bytes(self.raw).verify(signature, data)
        except (InvalidSignature, ValueError):
            return False
        return True

    @classmethod
    def load(cls, path: Path) -> PublicKey:
        """The key in a PEM file. Raises ConfigError where it holds none of Ed25519."""
        text = _read(path)
        try:
            key = serialization.load_pem_public_key(text)
        except (ValueError, UnsupportedAlgorithm):
            key = None
        if not isinstance(key, Ed25519PublicKey):
            raise ConfigError("this file holds no public Ed25519 key", where=path)
        return cls(key.public_bytes_raw())

    def save(self, path: Path) -> None:
        """Write it as PEM. Raises StoreError where the file cannot be written."""
        key = Ed25519PublicKey.from_public_bytes(self.raw)
        kind = serialization.PublicFormat.SubjectPublicKeyInfo
        text = key.public_bytes(serialization.Encoding.PEM, kind).decode()
        try:
            write_atomic(path, text)
        except OSError as error:
            raise _unwritable(path, error) from None


class SigningKey:
    """The half that signs. It is never shown or sent; `load_or_make` keeps it in a file."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.public = PublicKey(key.public_key().public_bytes_raw())

    def sign(self, data: bytes) -> bytes:
        """64 bytes that only this key can make for `data`."""
        return self._key.sign(data)

    @classmethod
    def load_or_make(cls, path: Path) -> SigningKey:
        """The key in the PEM file at `path`; a new one where there is no file.

        The file is made with mode 0600. Raises ConfigError for a file that holds no such key or
        that others may read or this login may not, StoreError where it cannot be written.
        """
        if not is_there(path):
            _make(path)
        text = _read(path)
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & 0o077:
            raise ConfigError(
                "others may read the key that signs the log",
                got=f"mode {mode:04o}",
                where=path,
                do=f"chmod 600 {path}; make a new key if somebody may have read it",
            )
        try:
            key = serialization.load_pem_private_key(text, password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            key = None
        if not isinstance(key, Ed25519PrivateKey):
            raise ConfigError("this file holds no Ed25519 key without password", where=path)
        return cls(key)


def _make(path: Path) -> None:
    text = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    # Written aside and linked: of two that make it at once, one wins and nobody reads half a key.
    aside = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            os.link(aside, path)
        except FileExistsError:
            return
        finally:
            aside.unlink()
        sync_folder(path.parent)
    except OSError as error:
        raise _unwritable(path, error) from None


def is_there(path: Path) -> bool:
    """Whether there is a file of a key. Raises ConfigError where one may not look."""
    try:
        return path.exists()
    except OSError as error:
        raise _unreadable(path, error) from None


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: OSError) -> ConfigError:
    shut = isinstance(error, PermissionError)
    do = "ask whose it is: one login signs, and gives the public half (.pub) to the others"
    return ConfigError(
        "a key cannot be read", got=error.strerror, where=path, do=do if shut else None
    )


def _unwritable(path: Path, error: OSError) -> StoreError:
    return StoreError(
        "a key cannot be written",
        got=error.strerror,
        where=path,
        do="name a file in a folder that exists and that you may write to",
    )
