"""Signing keys: made once, read by their owner only, and what they sign."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from accord.core.errors import ConfigError, StoreError
from accord.store.keys import PublicKey, SigningKey

RFC_8032 = (
    "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
    (
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
        "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
    ),
)
"""Public key and signature of the empty message: RFC 8032, section 7.1, test 1."""


def test_the_published_signature_fits() -> None:
    key, signature = PublicKey(bytes.fromhex(RFC_8032[0])), bytes.fromhex(RFC_8032[1])
    assert key.signed(b"", signature)
    assert not key.signed(b"x", signature)
    assert not key.signed(b"", signature[:-1] + b"\x00")
    assert not PublicKey(b"short").signed(b"", signature)


def test_a_key_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    key = SigningKey.load_or_make(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    again = SigningKey.load_or_make(path)
    assert again.public == key.public
    assert key.public.signed(b"data", again.sign(b"data"))
    assert [p.name for p in tmp_path.iterdir()] == ["key.pem"]
    assert SigningKey.load_or_make(tmp_path / "other.pem").public != key.public


def test_of_many_who_make_it_at_once_one_wins(tmp_path: Path) -> None:
    with ThreadPoolExecutor(2) as pool:
        keys = list(pool.map(SigningKey.load_or_make, [tmp_path / "key.pem"] * 2))
    assert len({key.public for key in keys}) == 1


def test_a_public_key_comes_back_from_its_file(tmp_path: Path) -> None:
    key = SigningKey.load_or_make(tmp_path / "key.pem").public
    key.save(tmp_path / "public.pem")
    assert PublicKey.load(tmp_path / "public.pem") == key
    assert len(key.id) == 16
    with pytest.raises(StoreError):
        key.save(tmp_path / "none" / "public.pem")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_key_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "key.pem"
    SigningKey.load_or_make(path)
    path.chmod(mode)
    with pytest.raises(ConfigError, match="others may read"):
        SigningKey.load_or_make(path)


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    path.write_text("no key")
    path.chmod(0o600)
    with pytest.raises(ConfigError, match="no Ed25519 key"):
        SigningKey.load_or_make(path)
    with pytest.raises(ConfigError, match="no public Ed25519 key"):
        PublicKey.load(path)
    with pytest.raises(ConfigError, match="cannot be read"):
        PublicKey.load(tmp_path / "none")


def test_a_folder_that_is_not_there_is_one_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be written"):
        SigningKey.load_or_make(tmp_path / "none" / "key.pem")
