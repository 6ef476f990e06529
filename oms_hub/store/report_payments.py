"""Payments per day and gateway: what the figures mean and the SQL that makes them."""

from __future__ import annotations

from dataclasses import replace

from oms_hub.store.report_columns import (
    BUSINESS_DATE,
    CHANNEL,
    CONNECTION,
    KEY_CURRENCY,
    MERCHANT,
    ReportDefinition,
    amount,
    whole,
    words,
)

PAYMENTS_DAILY = ReportDefinition(
    name="payments_daily",
    title="Money in and out per connection, day and gateway",
    comment=(
        "One row per merchant, connection, business day, currency and gateway with any payment transaction, on the "
        "day that it was processed. A gift card or store credit that pays an order is a gateway like any other. Test "
        "orders, drafts and orders that vanished from the channel never count; currencies are never added."
    ),
    day_column="business_date",
    currency_column="currency",
    columns=(
        MERCHANT,
        CONNECTION,
        BUSINESS_DATE,
        replace(KEY_CURRENCY, comment=f"{KEY_CURRENCY.comment}; that of the payment, which an order's may differ from"),
        words("gateway", "How it was paid, in the channel's word; '' where it does not say", key=True),
        CHANNEL,
        whole("payments", "Successful sales and captures"),
        whole("refunds", "Successful refunds"),
        whole("failed", "Transactions that did not succeed, of any kind"),
        amount("received", "Sum of successful sales and captures, in currency"),
        amount("refunded", "Sum of successful refunds, in currency; positive"),
        amount("net", "received - refunded, in currency"),
        amount("authorised", "Sum of successful authorisations, in currency: promised, not yet money"),
        amount("voided", "Sum of successful voids, in currency: authorisations given up"),
    ),
)

INSERT_PAYMENTS_DAILY = """
INSERT INTO reports.payments_daily (merchant, connection, business_date, currency, gateway, channel, payments, refunds,
    failed, received, refunded, net, authorised, voided)
SELECT m.name, c.name, d.business_date, d.currency, d.gateway, c.channel, payments, refunds, failed, received, refunded,
       received - refunded, authorised, voided
FROM (
    SELECT connection_id, business_date, currency COLLATE "C" AS currency, gateway COLLATE "C" AS gateway,
           count(*) FILTER (WHERE is_successful AND kind IN ('sale', 'capture')) AS payments,
           count(*) FILTER (WHERE is_successful AND kind = 'refund') AS refunds,
           count(*) FILTER (WHERE NOT is_successful) AS failed,
           coalesce(sum(amount) FILTER (WHERE is_successful AND kind IN ('sale', 'capture')), 0) AS received,
           coalesce(sum(amount) FILTER (WHERE is_successful AND kind = 'refund'), 0) AS refunded,
           coalesce(sum(amount) FILTER (WHERE is_successful AND kind = 'authorisation'), 0) AS authorised,
           coalesce(sum(amount) FILTER (WHERE is_successful AND kind = 'void'), 0) AS voided
    FROM report_paid GROUP BY 1, 2, 3, 4
) d JOIN hub.connections c USING (connection_id) JOIN hub.merchants m USING (merchant_id)
"""
