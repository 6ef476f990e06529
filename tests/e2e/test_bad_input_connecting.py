"""Accounts that cannot be connected: refused in one line that says what to do, and nothing is stored."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from oms_hub.channel.contract import RunningSandbox
from oms_hub.channel.registry import load_channels

SECRET = "not-the-real-one-4711"
WOO = {"consumer_key": f"ck_{SECRET}", "consumer_secret": f"cs_{SECRET}"}
CLOSED_PORT = "http://127.0.0.1:9"


def _sandbox(channel: str) -> RunningSandbox:
    start = load_channels()[channel].sandbox
    assert start is not None
    return start(port=0, orders=3, seed=1)


@pytest.fixture(scope="module")
def woocommerce() -> Iterator[RunningSandbox]:
    with closing(_sandbox("woocommerce")) as running:
        yield running


@pytest.fixture(scope="module")
def shopify() -> Iterator[RunningSandbox]:
    with closing(_sandbox("shopify")) as running:
        yield running


class _Elsewhere(BaseHTTPRequestHandler):
    """Sends everybody to another host, and remembers what was asked there."""

    asked: ClassVar[list[str]] = []

    def _redirect(self) -> None:
        self.asked.append(self.headers.get("authorization") or self.headers.get("x-shopify-access-token") or "")
        self.rfile.read(int(self.headers.get("content-length") or 0))
        self.send_response(301)
        self.send_header("location", f"https://shop.invalid{self.path}")
        self.send_header("content-length", "0")
        self.end_headers()

    do_GET = do_POST = do_HEAD = _redirect

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def elsewhere() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Elsewhere)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join(5)


def _words(channel: str, settings: dict[str, str], secrets: dict[str, str]) -> tuple[list[str], dict[str, str]]:
    """Give the words that connect an account, and the environment that its secrets stand in."""
    words = ["connections", "add", channel, "shop", "--merchant", "acme"]
    for key, value in settings.items():
        words += ["--set", f"{key}={value}"]
    for key in secrets:
        words += ["--secret", f"{key}=env:TEST_{key.upper()}"]
    return words, {f"TEST_{key.upper()}": value for key, value in secrets.items()}


def _refused(program: Any, channel: str, settings: dict[str, str], secrets: dict[str, str]) -> Any:
    """Try to connect; see that it is refused in one line, tells no secret and stores nothing."""
    before = program.row_counts()
    words, environment = _words(channel, settings, secrets)
    result = program(*words, **environment)
    assert result.exit_code == 1, result.output
    assert result.complaint
    for secret in secrets.values():
        assert secret not in result.output
    assert SECRET not in result.output
    assert program.row_counts() == before
    return result


def _connected(program: Any, running: RunningSandbox, channel: str) -> None:
    words, environment = _words(channel, dict(running.account.settings), dict(running.account.secrets))
    result = program(*words, **environment)
    assert (result.exit_code, result.stderr) == (0, ""), result.output
    assert [row["name"] for row in program("connections", "list", "--json").json] == ["shop"]


def test_an_unknown_channel_is_named_with_the_known_ones(acme: Any) -> None:
    result = _refused(acme, "etsy", {}, {})
    assert result.complaint == f"unknown channel etsy. Known channels: {', '.join(load_channels())}"


def test_a_sandbox_of_an_unknown_channel_is_refused(acme: Any) -> None:
    result = acme("sandbox", "etsy", "--seconds", "0.1")
    assert result.exit_code == 1
    assert result.complaint == f"unknown channel etsy. Known channels: {', '.join(load_channels())}"


@pytest.mark.parametrize(
    ("channel", "settings", "secrets", "complaint"),
    [
        ("pos_feed", {}, {}, "pos_feed needs path ("),
        ("shopify", {}, {"access_token": SECRET}, "shopify needs shop (The shop's address: NAME.myshopify.com). "),
        ("woocommerce", {}, WOO, "woocommerce needs url (Address of the shop, as https://shop.example). "),
        ("woocommerce", {"url": "https://shop.invalid"}, {}, "Secret consumer_key of woocommerce is missing: "),
        ("pos_feed", {"path": "a.csv", "pth": "b"}, {}, "pos_feed has no setting pth. Its settings are: path, "),
        ("woocommerce", {"url": "https://shop.invalid", "consumer_key": SECRET}, WOO, "consumer_key is a secret. "),
        ("pos_feed", {"path": "a.csv", "decimal": ";"}, {}, "setting decimal is ';'. It is one of: ., ,"),
        ("pos_feed", {"path": "a.csv", "columns": "{"}, {}, "setting columns is not JSON. "),
        ("pos_feed", {"path": "a.csv", "encoding": "klingon"}, {}, "setting encoding is 'klingon', which is not "),
    ],
)
def test_a_missing_or_wrong_setting_is_named_with_what_it_should_be(
    channel: str, settings: dict[str, str], secrets: dict[str, str], complaint: str, acme: Any
) -> None:
    assert _refused(acme, channel, settings, secrets).complaint.startswith(complaint)


@pytest.mark.parametrize("shop", ["acme.example", "https://acme.myshopify.com.evil.invalid", "my shop", "../admin"])
def test_a_shop_outside_of_myshopify_is_refused_before_any_request(shop: str, acme: Any) -> None:
    result = _refused(acme, "shopify", {"shop": shop}, {"access_token": SECRET})
    assert result.complaint == "the setting shop is not a myshopify.com address. Set shop to NAME.myshopify.com"


@pytest.mark.parametrize(
    ("channel", "settings", "secrets"),
    [
        ("woocommerce", {"url": "http://shop.invalid"}, WOO),
        ("woocommerce", {"url": "https://shop.invalid", "base_url": "http://shop.invalid"}, WOO),
        ("shopify", {"shop": "acme.myshopify.com", "base_url": "http://shop.invalid"}, {"access_token": SECRET}),
    ],
)
def test_plain_http_to_another_host_is_refused_before_any_request(
    channel: str, settings: dict[str, str], secrets: dict[str, str], acme: Any
) -> None:
    complaint = _refused(acme, channel, settings, secrets).complaint
    assert "is plain http to shop.invalid, which would show the credentials to the network" in complaint
    assert complaint.endswith("to https://shop.invalid")


def test_a_password_inside_an_address_is_refused_without_repeating_it(acme: Any) -> None:
    result = _refused(acme, "woocommerce", {"url": f"https://keeper:{SECRET}@shop.invalid"}, WOO)
    assert result.complaint.startswith("url carries a user or password. Give credentials with --secret")


@pytest.mark.parametrize(
    ("channel", "settings", "secrets"),
    [
        ("woocommerce", {"url": CLOSED_PORT}, WOO),
        ("shopify", {"shop": "acme.myshopify.com", "base_url": CLOSED_PORT}, {"access_token": SECRET}),
    ],
)
def test_a_host_that_does_not_answer_is_named(
    channel: str, settings: dict[str, str], secrets: dict[str, str], acme: Any
) -> None:
    result = _refused(acme, channel, settings, secrets)
    assert result.complaint.startswith("shop was not stored: ")
    assert "127.0.0.1" in result.complaint
    assert "no connection" in result.complaint


@pytest.mark.parametrize(
    ("channel", "settings", "secrets"),
    [
        ("woocommerce", {}, WOO),
        ("shopify", {"shop": "acme.myshopify.com"}, {"access_token": SECRET}),
    ],
)
def test_a_host_that_redirects_elsewhere_is_not_followed(
    channel: str, settings: dict[str, str], secrets: dict[str, str], acme: Any, elsewhere: str
) -> None:
    address = {"url" if channel == "woocommerce" else "base_url": elsewhere}
    _Elsewhere.asked.clear()
    result = _refused(acme, channel, {**settings, **address}, secrets)
    assert f"{elsewhere} redirects to https://shop.invalid" in result.complaint
    assert len(_Elsewhere.asked) == 1


def test_a_wrong_woocommerce_key_is_refused_and_the_right_one_taken(acme: Any, woocommerce: RunningSandbox) -> None:
    settings = dict(woocommerce.account.settings)
    result = _refused(acme, "woocommerce", settings, {**woocommerce.account.secrets, "consumer_secret": f"cs_{SECRET}"})
    assert result.complaint.startswith("shop was not stored: ")
    assert "401" in result.complaint
    _connected(acme, woocommerce, "woocommerce")


def test_a_wrong_shopify_token_is_refused_and_the_right_one_taken(acme: Any, shopify: RunningSandbox) -> None:
    result = _refused(acme, "shopify", dict(shopify.account.settings), {"access_token": f"shpat_{SECRET}"})
    assert result.complaint.startswith("shop was not stored: ")
    assert "401" in result.complaint
    _connected(acme, shopify, "shopify")


def test_a_shopify_account_without_any_secret_is_refused(acme: Any) -> None:
    result = _refused(acme, "shopify", {"shop": "acme.myshopify.com", "base_url": CLOSED_PORT}, {})
    assert "access_token" in result.complaint


def test_an_unknown_merchant_is_named_with_the_known_ones(acme: Any) -> None:
    before = acme.row_counts()
    result = acme("connections", "add", "pos_feed", "till", "--merchant", "nobody", "--set", "path=a.csv")
    assert result.exit_code == 1
    assert "nobody" in result.complaint
    assert "acme" in result.complaint
    assert acme.row_counts() == before


def test_a_name_that_is_taken_is_refused(acme: Any, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("order_id,sold_at,sku,quantity,unit_price\n", encoding="utf-8")
    words = ("connections", "add", "pos_feed", "till", "--merchant", "acme", "--set", f"path={tmp_path}/a.csv")
    assert acme(*words).exit_code == 0
    before = acme.row_counts()
    result = acme(*words)
    assert result.exit_code == 1
    assert "till" in result.complaint
    assert acme.row_counts() == before


def test_a_secret_on_the_command_line_is_refused_without_repeating_it(acme: Any) -> None:
    before = acme.row_counts()
    result = acme(
        "connections", "add", "shopify", "shop", "--merchant", "acme", "--set", "shop=acme.myshopify.com",
        "--secret", f"access_token={SECRET}",
    )  # fmt: skip
    assert result.exit_code == 1
    assert result.complaint.startswith("Secret access_token must not stand on the command line")
    assert SECRET not in result.output
    assert acme.row_counts() == before


@pytest.mark.parametrize(
    ("reference", "complaint"),
    [
        ("env:NOT_SET_ANYWHERE", "the secret at env:NOT_SET_ANYWHERE is not set. Set the environment variable"),
        ("file:nowhere.txt", "the secret file nowhere.txt cannot be read: No such file or directory. Put the secret"),
        ("file:empty.txt", "the secret at file:empty.txt is not set. Write the secret into empty.txt"),
        ("file:binary.txt", "the secret file binary.txt is not text. Name the right file"),
    ],
)
def test_a_secret_that_is_not_where_it_should_be_is_asked_for(
    reference: str, complaint: str, acme: Any, tmp_path: Path
) -> None:
    (tmp_path / "empty.txt").write_text("\n", encoding="utf-8")
    (tmp_path / "binary.txt").write_bytes(b"\xff\xfe\x00\x01")
    before = acme.row_counts()
    result = acme(
        "connections", "add", "shopify", "shop", "--merchant", "acme", "--set", "shop=acme.myshopify.com",
        "--secret", f"access_token={reference}",
    )  # fmt: skip
    assert result.exit_code == 1
    assert result.complaint.startswith(complaint)
    assert acme.row_counts() == before


def test_secrets_are_taken_from_standard_input_and_from_files(
    acme: Any, woocommerce: RunningSandbox, tmp_path: Path
) -> None:
    secrets = woocommerce.account.secrets
    (tmp_path / "secret.txt").write_text(secrets["consumer_secret"] + "\n", encoding="utf-8")
    words, _ = _words("woocommerce", dict(woocommerce.account.settings), {})
    result = acme(
        *words, "--secret", "consumer_key=-", "--secret", f"consumer_secret=file:{tmp_path}/secret.txt",
        stdin=secrets["consumer_key"] + "\n",
    )  # fmt: skip
    assert (result.exit_code, result.stderr) == (0, ""), result.output
    assert not any(secret in result.output for secret in secrets.values())
    assert acme("connections", "test", "shop").exit_code == 0
    stored = acme.rows("SELECT name, reference, ciphertext FROM hub.secrets ORDER BY name")
    assert [(name, reference) for name, reference, _ in stored] == [
        ("consumer_key", None), ("consumer_secret", f"file:{tmp_path}/secret.txt"),
    ]  # fmt: skip
    assert secrets["consumer_key"].encode() not in bytes(stored[0][2])


def test_a_secret_from_standard_input_that_is_empty_is_refused(acme: Any, woocommerce: RunningSandbox) -> None:
    words, _ = _words("woocommerce", dict(woocommerce.account.settings), {})
    before = acme.row_counts()
    result = acme(*words, "--secret", "consumer_key=-", "--secret", "consumer_secret=-", stdin="\n")
    assert result.exit_code == 1
    assert result.complaint.startswith("Secret consumer_key is empty on standard input. ")
    assert acme.row_counts() == before
