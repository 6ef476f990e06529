"""Amazon's marketplaces: their ids, the region they are served from, their currency.

What belongs here: the table. Source: developer-docs.amazon.com/sp-api/docs/marketplace-ids and
sp-api-endpoints, seen 2026-11-22.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Marketplace:
    """One of Amazon's shops. `report_encoding` is how its flat files are written where they are not UTF-8."""

    country: str
    region: str
    currency: str
    report_encoding: str = "cp1252"


ENDPOINTS = {
    "na": "https://sellingpartnerapi-na.amazon.com",
    "eu": "https://sellingpartnerapi-eu.amazon.com",
    "fe": "https://sellingpartnerapi-fe.amazon.com",
}
TOKEN_HOST = "https://api.amazon.com"  # noqa: S105 (an address)

MARKETPLACES = {
    "A2EUQ1WTGCTBG2": Marketplace("CA", "na", "CAD"),
    "ATVPDKIKX0DER": Marketplace("US", "na", "USD"),
    "A1AM78C64UM0Y8": Marketplace("MX", "na", "MXN"),
    "A2Q3Y263D00KWC": Marketplace("BR", "na", "BRL"),
    "A28R8C7NBKEWEA": Marketplace("IE", "eu", "EUR"),
    "A1RKKUPIHCS9HS": Marketplace("ES", "eu", "EUR"),
    "A1F83G8C2ARO7P": Marketplace("GB", "eu", "GBP"),
    "A13V1IB3VIYZZH": Marketplace("FR", "eu", "EUR"),
    "AMEN7PMS3EDWL": Marketplace("BE", "eu", "EUR"),
    "A1805IZSGTT6HS": Marketplace("NL", "eu", "EUR"),
    "A1PA6795UKMFR9": Marketplace("DE", "eu", "EUR"),
    "APJ6JRA9NG5V4": Marketplace("IT", "eu", "EUR"),
    "A2NODRKZP88ZB9": Marketplace("SE", "eu", "SEK"),
    "AE08WJ6YKNBMC": Marketplace("ZA", "eu", "ZAR"),
    "A1C3SOZRARQ6R3": Marketplace("PL", "eu", "PLN"),
    "ARBP9OOSHTCHU": Marketplace("EG", "eu", "EGP"),
    "A33AVAJ2PDY3EV": Marketplace("TR", "eu", "TRY"),
    "A17E79C6D8DWNP": Marketplace("SA", "eu", "SAR"),
    "A2VIGQ35RCS4UG": Marketplace("AE", "eu", "AED"),
    "A21TJRUUN4KGV": Marketplace("IN", "eu", "INR"),
    "A19VAU5U5O7RUS": Marketplace("SG", "fe", "SGD"),
    "A39IBJ37TRP1C6": Marketplace("AU", "fe", "AUD"),
    "A1VC38T7YXB528": Marketplace("JP", "fe", "JPY", report_encoding="cp932"),
}


def currency_of(marketplace_id: str) -> str | None:
    """Return a marketplace's currency, None for one that is not known here."""
    found = MARKETPLACES.get(marketplace_id)
    return None if found is None else found.currency
