"""Secrets: sealed to their place, under keys that rotate, from references that are read when needed."""

from __future__ import annotations

import base64
import os
import stat
from concurrent.futures import ThreadPoolExecutor

import pytest

from oms_hub.channel.secrets import KEY_FILE_NAME, SecretBox, is_same_signature, open_box, resolve_reference
from oms_hub.errors import Misconfigured

OLD, NEW = bytes(range(32)), bytes(range(32, 64))


def test_a_secret_comes_back_in_its_own_place():
    box = SecretBox([OLD])
    sealed = box.encrypt(b"ck_1", b"7:consumer_key")
    assert box.decrypt(sealed, b"7:consumer_key") == b"ck_1"
    assert b"ck_1" not in sealed
    assert sealed != box.encrypt(b"ck_1", b"7:consumer_key")


def test_a_ciphertext_moved_elsewhere_or_changed_does_not_decrypt():
    box = SecretBox([OLD])
    sealed = box.encrypt(b"ck_1", b"7:consumer_key")
    for ciphertext, context in (
        (sealed, b"8:consumer_key"), (sealed, b"7:consumer_secret"),
        (sealed[:-1] + bytes([sealed[-1] ^ 1]), b"7:consumer_key"), (sealed[:25], b"7:consumer_key"),
        (sealed[:8], b"7:consumer_key"),
    ):  # fmt: skip
        with pytest.raises(Misconfigured, match="damaged or belongs to another connection"):
            box.decrypt(ciphertext, context)


def test_keys_rotate_the_first_seals_and_all_open():
    sealed = SecretBox([OLD]).encrypt(b"v", b"c")
    both = SecretBox([NEW, OLD])
    assert both.decrypt(sealed, b"c") == b"v"
    assert (both.needs_renewal(sealed), both.needs_renewal(both.encrypt(b"v", b"c"))) == (True, False)
    for box, ciphertext in ((SecretBox([NEW]), sealed), (both, b"xx" + sealed), (both, b"")):
        with pytest.raises(Misconfigured, match="another master key"):
            box.decrypt(ciphertext, b"c")


@pytest.mark.parametrize(
    "text",
    [
        base64.b64encode(NEW).decode(), base64.urlsafe_b64encode(b"\xff" * 32).decode().rstrip("="), NEW.hex(),
        f" {NEW.hex()} , {base64.b64encode(OLD).decode()}",
    ],
)  # fmt: skip
def test_a_given_key_may_be_base64_or_hex_and_leaves_no_file(tmp_path, text):
    box = open_box(tmp_path, master_key=text)
    assert box.decrypt(box.encrypt(b"v", b"c"), b"c") == b"v"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["short", "!" * 44, "00" * 31, "é" * 32, "zz" * 32, f"{NEW.hex()},"])
def test_a_wrong_key_says_how_to_make_one_and_is_not_shown(tmp_path, text):
    with pytest.raises(Misconfigured, match="OMS_HUB_MASTER_KEY holds no key of 32 bytes") as caught:
        open_box(tmp_path, master_key=text)
    assert "openssl rand" in caught.value.remedy
    assert text not in caught.value.one_line()
    with pytest.raises(Misconfigured):
        SecretBox([])


def test_the_first_start_makes_a_key_file_for_its_owner_alone(tmp_path):
    home = tmp_path / "deep" / "home"
    sealed = open_box(home).encrypt(b"v", b"c")
    assert stat.S_IMODE((home / KEY_FILE_NAME).stat().st_mode) == 0o600
    assert open_box(home, master_key=" ").decrypt(sealed, b"c") == b"v"
    assert [path.name for path in home.iterdir()] == [KEY_FILE_NAME]


def test_many_first_starts_at_once_agree_on_one_key(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        boxes = list(pool.map(lambda _number: open_box(tmp_path), range(16)))
    assert [box.decrypt(boxes[0].encrypt(b"v", b"c"), b"c") for box in boxes] == [b"v"] * 16


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_key_file_that_others_may_use_is_refused(tmp_path, mode):
    open_box(tmp_path)
    path = tmp_path / KEY_FILE_NAME
    path.chmod(mode)
    with pytest.raises(Misconfigured, match="others than you") as caught:
        open_box(tmp_path)
    assert caught.value.remedy == f"chmod 600 {path}"


def test_a_key_file_that_cannot_be_made_or_read_says_why(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("x")
    with pytest.raises(Misconfigured, match="cannot be made"):
        open_box(blocked / "home")
    (tmp_path / KEY_FILE_NAME).mkdir(mode=0o700)
    with pytest.raises(Misconfigured, match="cannot be read"):
        open_box(tmp_path)


def test_a_damaged_key_file_is_named(tmp_path):
    path = tmp_path / KEY_FILE_NAME
    path.write_text("rubbish")
    path.chmod(0o600)
    with pytest.raises(Misconfigured, match=KEY_FILE_NAME):
        open_box(tmp_path)


def test_nothing_shows_a_key():
    box = SecretBox([OLD, NEW])
    assert (repr(box), str(box)) == ("SecretBox(2 keys)", "SecretBox(2 keys)")


def test_references_are_resolved_from_environment_and_files(tmp_path, monkeypatch):
    path = tmp_path / "token"
    path.write_bytes(b"\xef\xbb\xbft0p\r\n")
    assert resolve_reference(f"file:{path}") == "t0p"
    assert resolve_reference("env:A", environment={"A": "v"}) == "v"
    monkeypatch.setenv("OMS_HUB_TEST_SECRET", "w")
    assert resolve_reference("env:OMS_HUB_TEST_SECRET") == "w"


def test_a_reference_that_leads_nowhere_says_what_to_do(tmp_path):
    empty, large, binary = tmp_path / "empty", tmp_path / "large", tmp_path / "binary"
    empty.write_text("\n")
    large.write_bytes(b"x" * 70_000)
    binary.write_bytes(b"\xff\xfe\x00")
    for reference, reason in {
        "env:MISSING": "env:MISSING is not set", "plain-secret": "neither env:NAME nor file:PATH",
        "env:": "neither", "vault:x": "neither", f"file:{tmp_path / 'none'}": "cannot be read",
        f"file:{empty}": "is not set", f"file:{large}": "too large", f"file:{binary}": "is not text",
    }.items():  # fmt: skip
        with pytest.raises(Misconfigured, match=reason) as caught:
            resolve_reference(reference, environment={})
        assert caught.value.remedy
        assert "plain-secret" not in caught.value.one_line()


def test_signatures_are_compared_whole():
    assert is_same_signature("abc", b"abc")
    assert not is_same_signature("abc", "abd")
    assert not is_same_signature("é", "e")


def test_the_key_file_mode_does_not_depend_on_the_umask(tmp_path):
    before = os.umask(0)
    try:
        open_box(tmp_path)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / KEY_FILE_NAME).stat().st_mode) == 0o600
