-- What allocation needs: units bound to lines, transfers, holds that expire, alerts.

-- Hands out the units of one SKU, demand after demand, in the order of the window that it is called over.
-- The state is two lists in one: what is left at each place, then what the last demand was given at each.
CREATE FUNCTION hub.hand_out_step(state bigint[], places bigint[], place integer, units bigint, takes_part boolean)
    RETURNS bigint[]
    LANGUAGE plpgsql IMMUTABLE
    AS $$
DECLARE
    last_place CONSTANT integer := cardinality(places);
    remaining bigint[] := CASE WHEN state IS NULL THEN places ELSE state[1:last_place] END;
    given bigint[] := array_fill(0::bigint, ARRAY[last_place]);
    wanted bigint := units;
    there bigint := 0;
BEGIN
    IF place IS NOT NULL THEN
        IF takes_part OR remaining[place] >= units THEN
            given[place] := least(remaining[place], units);
        END IF;
    ELSE
        FOR nth IN 1..last_place LOOP
            IF remaining[nth] >= units THEN
                given[nth] := units;
                wanted := 0;
                EXIT;
            END IF;
            there := there + remaining[nth];
        END LOOP;
        IF wanted > 0 AND (takes_part OR there >= units) THEN
            FOR nth IN 1..last_place LOOP
                given[nth] := least(remaining[nth], wanted);
                wanted := wanted - given[nth];
            END LOOP;
        END IF;
    END IF;
    FOR nth IN 1..last_place LOOP
        remaining[nth] := remaining[nth] - given[nth];
    END LOOP;
    RETURN remaining || given;
END
$$;

CREATE AGGREGATE hub.hand_out(places bigint[], place integer, units bigint, takes_part boolean) (
    SFUNC = hub.hand_out_step,
    STYPE = bigint[]
);

CREATE TABLE hub.allocation_dirty (
    sku_id BIGINT NOT NULL,
    merchant_id INTEGER NOT NULL,
    marked_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_allocation_dirty PRIMARY KEY (sku_id)
);

CREATE INDEX ix_allocation_dirty_merchant ON hub.allocation_dirty (merchant_id, sku_id);

COMMENT ON TABLE hub.allocation_dirty IS 'SKUs whose units must be handed out again; written with the change, deleted with the allocation';

COMMENT ON COLUMN hub.allocation_dirty.sku_id IS 'the goods';

COMMENT ON COLUMN hub.allocation_dirty.merchant_id IS 'whose it is';

COMMENT ON COLUMN hub.allocation_dirty.marked_at IS 'when the change was written';

CREATE TABLE hub.allocations (
    connection_id INTEGER NOT NULL,
    channel_order_id TEXT NOT NULL,
    line_id TEXT NOT NULL,
    sku_id BIGINT NOT NULL,
    location_id INTEGER NOT NULL,
    merchant_id INTEGER NOT NULL,
    units INTEGER NOT NULL,
    is_reserved BOOLEAN NOT NULL,
    allocated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_allocations PRIMARY KEY (connection_id, channel_order_id, line_id, sku_id, location_id),
    CONSTRAINT ck_allocations_units_positive CHECK (units > 0)
);

CREATE INDEX ix_allocations_sku ON hub.allocations (sku_id);

COMMENT ON TABLE hub.allocations IS 'Units that are there and bound to an open order line, by place';

COMMENT ON COLUMN hub.allocations.connection_id IS 'the order''s connection';

COMMENT ON COLUMN hub.allocations.channel_order_id IS 'the channel''s own id of the order';

COMMENT ON COLUMN hub.allocations.line_id IS 'the line within the order';

COMMENT ON COLUMN hub.allocations.sku_id IS 'the goods; a component where a bundle was sold';

COMMENT ON COLUMN hub.allocations.location_id IS 'the place whose units they are';

COMMENT ON COLUMN hub.allocations.merchant_id IS 'whose it is';

COMMENT ON COLUMN hub.allocations.units IS 'units of the SKU';

COMMENT ON COLUMN hub.allocations.is_reserved IS 'true while nothing was paid: a hold that may expire';

COMMENT ON COLUMN hub.allocations.allocated_at IS 'since when it is this many';

CREATE TABLE hub.backorders (
    connection_id INTEGER NOT NULL,
    channel_order_id TEXT NOT NULL,
    line_id TEXT NOT NULL,
    sku_id BIGINT NOT NULL,
    merchant_id INTEGER NOT NULL,
    units INTEGER NOT NULL,
    is_reserved BOOLEAN NOT NULL,
    since TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT pk_backorders PRIMARY KEY (connection_id, channel_order_id, line_id, sku_id),
    CONSTRAINT ck_backorders_units_positive CHECK (units > 0)
);

CREATE INDEX ix_backorders_merchant ON hub.backorders (merchant_id);

CREATE INDEX ix_backorders_sku ON hub.backorders (sku_id);

COMMENT ON TABLE hub.backorders IS 'Units of open order lines that were sold and are not there; only of SKUs that have a level';

COMMENT ON COLUMN hub.backorders.connection_id IS 'the order''s connection';

COMMENT ON COLUMN hub.backorders.channel_order_id IS 'the channel''s own id of the order';

COMMENT ON COLUMN hub.backorders.line_id IS 'the line within the order';

COMMENT ON COLUMN hub.backorders.sku_id IS 'the goods; a component where a bundle was sold';

COMMENT ON COLUMN hub.backorders.merchant_id IS 'whose it is';

COMMENT ON COLUMN hub.backorders.units IS 'units of the SKU';

COMMENT ON COLUMN hub.backorders.is_reserved IS 'true while nothing was paid';

COMMENT ON COLUMN hub.backorders.since IS 'since when the line waits for any';

CREATE TABLE hub.expired_holds (
    connection_id INTEGER NOT NULL,
    channel_order_id TEXT NOT NULL,
    line_id TEXT NOT NULL,
    merchant_id INTEGER NOT NULL,
    units INTEGER NOT NULL,
    expired_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_expired_holds PRIMARY KEY (connection_id, channel_order_id, line_id),
    CONSTRAINT ck_expired_holds_units_positive CHECK (units > 0)
);

COMMENT ON TABLE hub.expired_holds IS 'Unpaid order lines whose time was up: they hold no stock until they are paid';

COMMENT ON COLUMN hub.expired_holds.connection_id IS 'the order''s connection';

COMMENT ON COLUMN hub.expired_holds.channel_order_id IS 'the channel''s own id of the order';

COMMENT ON COLUMN hub.expired_holds.line_id IS 'the line within the order';

COMMENT ON COLUMN hub.expired_holds.merchant_id IS 'whose it is';

COMMENT ON COLUMN hub.expired_holds.units IS 'units of the line that it held';

COMMENT ON COLUMN hub.expired_holds.expired_at IS 'when its time was up';

CREATE TABLE hub.order_tags (
    connection_id INTEGER NOT NULL,
    channel_order_id TEXT NOT NULL,
    tag TEXT NOT NULL,
    merchant_id INTEGER NOT NULL,
    CONSTRAINT pk_order_tags PRIMARY KEY (connection_id, channel_order_id, tag),
    CONSTRAINT ck_order_tags_tag_given CHECK (tag <> '')
);

COMMENT ON TABLE hub.order_tags IS 'Words that a person put on an order; allocation rules may ask for them';

COMMENT ON COLUMN hub.order_tags.connection_id IS 'the order''s connection';

COMMENT ON COLUMN hub.order_tags.channel_order_id IS 'the channel''s own id of the order';

COMMENT ON COLUMN hub.order_tags.tag IS 'the word';

COMMENT ON COLUMN hub.order_tags.merchant_id IS 'whose it is';

CREATE TABLE hub.allocation_rules (
    rule_id INTEGER GENERATED BY DEFAULT AS IDENTITY,
    merchant_id INTEGER NOT NULL,
    name TEXT NOT NULL,
    connection_id INTEGER,
    channel TEXT,
    order_kind TEXT,
    shipping TEXT,
    tag TEXT,
    priority SMALLINT,
    is_expedited BOOLEAN NOT NULL,
    CONSTRAINT pk_allocation_rules PRIMARY KEY (rule_id),
    CONSTRAINT uq_allocation_rules_merchant_id_name UNIQUE (merchant_id, name),
    CONSTRAINT ck_allocation_rules_says_which CHECK (num_nonnulls(connection_id, channel, order_kind, shipping, tag) > 0),
    CONSTRAINT ck_allocation_rules_says_what CHECK (priority IS NOT NULL OR is_expedited),
    CONSTRAINT fk_allocation_rules_merchants FOREIGN KEY(merchant_id) REFERENCES hub.merchants (merchant_id),
    CONSTRAINT fk_allocation_rules_connections FOREIGN KEY(connection_id) REFERENCES hub.connections (connection_id)
);

COMMENT ON TABLE hub.allocation_rules IS 'Which orders go before others when there is not enough for all';

COMMENT ON COLUMN hub.allocation_rules.rule_id IS 'its number';

COMMENT ON COLUMN hub.allocation_rules.merchant_id IS 'whose it is';

COMMENT ON COLUMN hub.allocation_rules.name IS 'what people call it';

COMMENT ON COLUMN hub.allocation_rules.connection_id IS 'only orders of this connection; null for all';

COMMENT ON COLUMN hub.allocation_rules.channel IS 'only orders of this kind of channel; null for all';

COMMENT ON COLUMN hub.allocation_rules.order_kind IS 'only orders of this kind; null for all';

COMMENT ON COLUMN hub.allocation_rules.shipping IS 'only orders with a shipping charge whose title or code has this';

COMMENT ON COLUMN hub.allocation_rules.tag IS 'only orders that bear this tag; null for all';

COMMENT ON COLUMN hub.allocation_rules.priority IS 'rank of such orders, lower first; 100 without any rule';

COMMENT ON COLUMN hub.allocation_rules.is_expedited IS 'true: before the others of the same priority';

CREATE TABLE hub.allocation_settings (
    setting_id INTEGER GENERATED BY DEFAULT AS IDENTITY,
    merchant_id INTEGER NOT NULL,
    channel TEXT,
    connection_id INTEGER,
    takes_part BOOLEAN,
    hold_minutes INTEGER,
    CONSTRAINT pk_allocation_settings PRIMARY KEY (setting_id),
    CONSTRAINT ck_allocation_settings_hold_not_negative CHECK (hold_minutes >= 0),
    CONSTRAINT ck_allocation_settings_one_scope CHECK (channel IS NULL OR connection_id IS NULL),
    CONSTRAINT fk_allocation_settings_merchants FOREIGN KEY(merchant_id) REFERENCES hub.merchants (merchant_id),
    CONSTRAINT fk_allocation_settings_connections FOREIGN KEY(connection_id) REFERENCES hub.connections (connection_id)
);

CREATE UNIQUE INDEX uq_allocation_settings_scope ON hub.allocation_settings (merchant_id, coalesce(channel, ''), coalesce(connection_id, 0));

COMMENT ON TABLE hub.allocation_settings IS 'How allocation treats orders, per merchant, channel or connection; the nearest word holds';

COMMENT ON COLUMN hub.allocation_settings.setting_id IS 'its number';

COMMENT ON COLUMN hub.allocation_settings.merchant_id IS 'whose it is';

COMMENT ON COLUMN hub.allocation_settings.channel IS 'for one kind of channel; null for all';

COMMENT ON COLUMN hub.allocation_settings.connection_id IS 'for one connection; null for all';

COMMENT ON COLUMN hub.allocation_settings.takes_part IS 'may a part of a line be allocated; null: not said here';

COMMENT ON COLUMN hub.allocation_settings.hold_minutes IS 'how long unpaid orders hold stock; null: not said here';

CREATE TABLE hub.alert_thresholds (
    threshold_id INTEGER GENERATED BY DEFAULT AS IDENTITY,
    merchant_id INTEGER NOT NULL,
    sku_id BIGINT,
    low_stock INTEGER NOT NULL,
    CONSTRAINT pk_alert_thresholds PRIMARY KEY (threshold_id),
    CONSTRAINT ck_alert_thresholds_not_negative CHECK (low_stock >= 0),
    CONSTRAINT fk_alert_thresholds_merchants FOREIGN KEY(merchant_id) REFERENCES hub.merchants (merchant_id),
    CONSTRAINT fk_alert_thresholds_skus FOREIGN KEY(sku_id) REFERENCES hub.skus (sku_id)
);

CREATE UNIQUE INDEX uq_alert_thresholds_scope ON hub.alert_thresholds (merchant_id, coalesce(sku_id, 0));

COMMENT ON TABLE hub.alert_thresholds IS 'From how many available units on a SKU counts as low';

COMMENT ON COLUMN hub.alert_thresholds.threshold_id IS 'its number';

COMMENT ON COLUMN hub.alert_thresholds.merchant_id IS 'whose it is';

COMMENT ON COLUMN hub.alert_thresholds.sku_id IS 'for one SKU; null for all of the merchant';

COMMENT ON COLUMN hub.alert_thresholds.low_stock IS 'an alert fires once this many units or fewer are available';

CREATE TABLE hub.alerts (
    alert_id BIGINT GENERATED BY DEFAULT AS IDENTITY,
    merchant_id INTEGER NOT NULL,
    connection_id INTEGER,
    kind TEXT NOT NULL,
    reference TEXT NOT NULL,
    sku_id BIGINT,
    units INTEGER NOT NULL,
    message TEXT NOT NULL,
    state TEXT DEFAULT 'open' NOT NULL,
    fired_at TIMESTAMP WITH TIME ZONE NOT NULL,
    cleared_at TIMESTAMP WITH TIME ZONE,
    told_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_alerts PRIMARY KEY (alert_id),
    CONSTRAINT ck_alerts_kind_known CHECK (kind IN ('low_stock', 'oversold', 'backordered', 'drift', 'push_rejected', 'stale_pull')),
    CONSTRAINT ck_alerts_state_known CHECK (state IN ('open', 'cleared')),
    CONSTRAINT ck_alerts_cleared_has_time CHECK ((state = 'open') = (cleared_at IS NULL)),
    CONSTRAINT fk_alerts_merchants FOREIGN KEY(merchant_id) REFERENCES hub.merchants (merchant_id),
    CONSTRAINT fk_alerts_connections FOREIGN KEY(connection_id) REFERENCES hub.connections (connection_id),
    CONSTRAINT fk_alerts_skus FOREIGN KEY(sku_id) REFERENCES hub.skus (sku_id)
);

CREATE INDEX ix_alerts_sku ON hub.alerts (sku_id, kind) WHERE state = 'open';

CREATE INDEX ix_alerts_untold ON hub.alerts (alert_id) WHERE state = 'open' AND told_at IS NULL;

CREATE UNIQUE INDEX uq_alerts_open ON hub.alerts (merchant_id, coalesce(connection_id, 0), kind, reference) WHERE state = 'open';

COMMENT ON TABLE hub.alerts IS 'What crossed a line: one open row per kind and reference, cleared on recovery';

COMMENT ON COLUMN hub.alerts.alert_id IS 'its number';

COMMENT ON COLUMN hub.alerts.merchant_id IS 'whose it is';

COMMENT ON COLUMN hub.alerts.connection_id IS 'the connection that it is about; null for the merchant as a whole';

COMMENT ON COLUMN hub.alerts.kind IS 'what was crossed';

COMMENT ON COLUMN hub.alerts.reference IS 'what it is about: a SKU, an order, a connection';

COMMENT ON COLUMN hub.alerts.sku_id IS 'the goods that it is about, if any';

COMMENT ON COLUMN hub.alerts.units IS 'how many units, pushes or seconds';

COMMENT ON COLUMN hub.alerts.message IS 'what is so, in words';

COMMENT ON COLUMN hub.alerts.state IS 'open, or cleared once it was no longer so';

COMMENT ON COLUMN hub.alerts.fired_at IS 'when the line was crossed';

COMMENT ON COLUMN hub.alerts.cleared_at IS 'when it was no longer so';

COMMENT ON COLUMN hub.alerts.told_at IS 'when the notifier took it';

CREATE TABLE hub.transfers (
    transfer_id BIGINT GENERATED BY DEFAULT AS IDENTITY,
    merchant_id INTEGER NOT NULL,
    reference TEXT NOT NULL,
    from_location_id INTEGER NOT NULL,
    to_location_id INTEGER NOT NULL,
    state TEXT DEFAULT 'in_transit' NOT NULL,
    started_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    closed_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_transfers PRIMARY KEY (transfer_id),
    CONSTRAINT uq_transfers_merchant_id_reference UNIQUE (merchant_id, reference),
    CONSTRAINT ck_transfers_state_known CHECK (state IN ('in_transit', 'received', 'cancelled')),
    CONSTRAINT ck_transfers_two_places CHECK (from_location_id <> to_location_id),
    CONSTRAINT ck_transfers_closed_has_time CHECK ((state = 'in_transit') = (closed_at IS NULL)),
    CONSTRAINT fk_transfers_merchants FOREIGN KEY(merchant_id) REFERENCES hub.merchants (merchant_id),
    CONSTRAINT fk_transfers_from_location FOREIGN KEY(from_location_id) REFERENCES hub.locations (location_id),
    CONSTRAINT fk_transfers_to_location FOREIGN KEY(to_location_id) REFERENCES hub.locations (location_id)
);

COMMENT ON TABLE hub.transfers IS 'Units on their way from one place to another, in two steps';

COMMENT ON COLUMN hub.transfers.transfer_id IS 'its number';

COMMENT ON COLUMN hub.transfers.merchant_id IS 'whose it is';

COMMENT ON COLUMN hub.transfers.reference IS 'what people call it; the same one twice is the same transfer';

COMMENT ON COLUMN hub.transfers.from_location_id IS 'the place that the units left';

COMMENT ON COLUMN hub.transfers.to_location_id IS 'the place that they go to';

COMMENT ON COLUMN hub.transfers.state IS 'in_transit, received, cancelled';

COMMENT ON COLUMN hub.transfers.started_at IS 'when the units left';

COMMENT ON COLUMN hub.transfers.closed_at IS 'when nothing of it was on its way any more';

CREATE TABLE hub.unavailable_moves (
    move_id BIGINT GENERATED BY DEFAULT AS IDENTITY,
    merchant_id INTEGER NOT NULL,
    sku_id BIGINT NOT NULL,
    location_id INTEGER NOT NULL,
    quantity INTEGER NOT NULL,
    balance_before INTEGER NOT NULL,
    balance_after INTEGER NOT NULL,
    recorded_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    source TEXT NOT NULL,
    natural_key TEXT NOT NULL,
    cause TEXT NOT NULL,
    CONSTRAINT pk_unavailable_moves PRIMARY KEY (move_id),
    CONSTRAINT uq_unavailable_moves_merchant_id_natural_key UNIQUE (merchant_id, natural_key),
    CONSTRAINT ck_unavailable_moves_adds_up CHECK (balance_after = balance_before + quantity AND balance_after >= 0),
    CONSTRAINT fk_unavailable_moves_merchants FOREIGN KEY(merchant_id) REFERENCES hub.merchants (merchant_id),
    CONSTRAINT fk_unavailable_moves_skus FOREIGN KEY(sku_id) REFERENCES hub.skus (sku_id),
    CONSTRAINT fk_unavailable_moves_locations FOREIGN KEY(location_id) REFERENCES hub.locations (location_id)
);

CREATE INDEX ix_unavailable_moves_balance ON hub.unavailable_moves (sku_id, location_id);

COMMENT ON TABLE hub.unavailable_moves IS 'Units set aside (damaged, in inspection): append-only; `balances.unavailable` is the newest balance';

COMMENT ON COLUMN hub.unavailable_moves.move_id IS 'its number';

COMMENT ON COLUMN hub.unavailable_moves.merchant_id IS 'whose it is';

COMMENT ON COLUMN hub.unavailable_moves.sku_id IS 'the goods';

COMMENT ON COLUMN hub.unavailable_moves.location_id IS 'the place';

COMMENT ON COLUMN hub.unavailable_moves.quantity IS 'units set aside (positive) or given free again (negative)';

COMMENT ON COLUMN hub.unavailable_moves.balance_before IS 'units set aside before it';

COMMENT ON COLUMN hub.unavailable_moves.balance_after IS 'units set aside after it';

COMMENT ON COLUMN hub.unavailable_moves.recorded_at IS 'when it was written';

COMMENT ON COLUMN hub.unavailable_moves.source IS 'where it comes from';

COMMENT ON COLUMN hub.unavailable_moves.natural_key IS 'what makes it the same when it is told twice';

COMMENT ON COLUMN hub.unavailable_moves.cause IS 'why, in words';

CREATE TABLE hub.transfer_lines (
    transfer_id BIGINT NOT NULL,
    sku_id BIGINT NOT NULL,
    merchant_id INTEGER NOT NULL,
    units INTEGER NOT NULL,
    received_units INTEGER DEFAULT 0 NOT NULL,
    returned_units INTEGER DEFAULT 0 NOT NULL,
    CONSTRAINT pk_transfer_lines PRIMARY KEY (transfer_id, sku_id),
    CONSTRAINT ck_transfer_lines_units_positive CHECK (units > 0),
    CONSTRAINT ck_transfer_lines_not_negative CHECK (received_units >= 0 AND returned_units >= 0),
    CONSTRAINT ck_transfer_lines_no_more_than_left CHECK (received_units + returned_units <= units),
    CONSTRAINT fk_transfer_lines_transfers FOREIGN KEY(transfer_id) REFERENCES hub.transfers (transfer_id),
    CONSTRAINT fk_transfer_lines_skus FOREIGN KEY(sku_id) REFERENCES hub.skus (sku_id),
    CONSTRAINT fk_transfer_lines_merchants FOREIGN KEY(merchant_id) REFERENCES hub.merchants (merchant_id)
);

COMMENT ON TABLE hub.transfer_lines IS 'Goods of a transfer; what neither arrived nor went back is in transit, or lost once it is closed';

COMMENT ON COLUMN hub.transfer_lines.transfer_id IS 'the transfer';

COMMENT ON COLUMN hub.transfer_lines.sku_id IS 'the goods';

COMMENT ON COLUMN hub.transfer_lines.merchant_id IS 'whose it is';

COMMENT ON COLUMN hub.transfer_lines.units IS 'units that left';

COMMENT ON COLUMN hub.transfer_lines.received_units IS 'units that arrived so far';

COMMENT ON COLUMN hub.transfer_lines.returned_units IS 'units that went back to where they came from';

CREATE TRIGGER unavailable_moves_append_only BEFORE DELETE OR UPDATE ON hub.unavailable_moves FOR EACH ROW EXECUTE FUNCTION hub.refuse_change();

CREATE TRIGGER unavailable_moves_not_truncated BEFORE TRUNCATE ON hub.unavailable_moves FOR EACH STATEMENT EXECUTE FUNCTION hub.refuse_change();

ALTER TABLE hub.balances ADD CONSTRAINT ck_balances_not_negative CHECK (unavailable >= 0 AND incoming >= 0);

CREATE INDEX ix_order_lines_reserved ON hub.order_lines (merchant_id) WHERE reserved_quantity > 0;

-- ---------------------------------------------------------------- rate limits that processes share (oms_hub/store/rate_limit_schema.py)

CREATE TABLE hub.rate_buckets (
    merchant_id INTEGER NOT NULL,
    name TEXT NOT NULL,
    tokens DOUBLE PRECISION NOT NULL,
    per_second DOUBLE PRECISION NOT NULL,
    read_at TIMESTAMP WITH TIME ZONE NOT NULL,
    wait_seconds DOUBLE PRECISION NOT NULL,
    CONSTRAINT pk_rate_buckets PRIMARY KEY (merchant_id, name),
    CONSTRAINT ck_rate_buckets_per_second_positive CHECK (per_second > 0),
    CONSTRAINT ck_rate_buckets_wait_not_negative CHECK (wait_seconds >= 0),
    CONSTRAINT fk_rate_buckets_merchants FOREIGN KEY(merchant_id) REFERENCES hub.merchants (merchant_id)
);

COMMENT ON TABLE hub.rate_buckets IS 'Token buckets of channels'' rate limits, shared by all processes';

COMMENT ON COLUMN hub.rate_buckets.merchant_id IS 'whose it is';

COMMENT ON COLUMN hub.rate_buckets.name IS 'the account at the channel and the operation';

COMMENT ON COLUMN hub.rate_buckets.tokens IS 'requests left at read_at; below zero where some wait their turn';

COMMENT ON COLUMN hub.rate_buckets.per_second IS 'refill, as published or as the channel told since';

COMMENT ON COLUMN hub.rate_buckets.read_at IS 'when tokens was true, on this server''s clock';

COMMENT ON COLUMN hub.rate_buckets.wait_seconds IS 'what the last one who asked was told to wait';
