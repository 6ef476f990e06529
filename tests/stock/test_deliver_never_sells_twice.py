"""Three shops sell the same units while the hub's own steps sync them: none is sold twice, and none stays unsold."""

from __future__ import annotations

import random
from datetime import timedelta

from oms_hub.channel.contract import PushOutcome, PushResult
from oms_hub.sync.deliver_push import deliver_push
from oms_hub.sync.plan_push import plan_push
from oms_hub.sync.pull_stock import pull_stock

STOCK = 24
SYNC_SECONDS = 60


class Market:
    """Buyers at three shops; orders are seen up to two minutes late, and answers to writes get lost."""

    def __init__(self, world, kit, seed):
        self.world, self.kit, self.chance = world, kit, random.Random(seed)
        self.sold = 0
        self.unseen = []
        self.shops = []
        for nth in range(3):
            stored, shop = world.connect(f"shop{nth}")
            world.listing(stored, f"l{nth}", "A", level=0)
            self.shops.append((stored, shop))
            pull_stock(world.hub, stored.name)
        world.run(
            "INSERT INTO hub.policies (merchant_id, scope, news_seconds) VALUES (:m, 'merchant', :s)",
            m=world.merchant_id,
            s=SYNC_SECONDS * 1.5,
        )
        world.count("A", STOCK, kit.at(-60))

    def someone_buys(self):
        nth = self.chance.randrange(3)
        self.world.clock.advance(1)
        shop, key = self.shops[nth][1], f"l{nth}"
        if shop.levels[key] > 0:
            shop.levels[key] -= 1
            self.sold += 1
            now = self.world.clock()
            self.unseen.append((now + timedelta(seconds=self.chance.uniform(0, 120)), nth, f"o{self.sold}", now))

    def answer(self, shop, write):
        """Sell under way now and then, and lose some answers."""
        if self.chance.random() < 0.2:
            self.someone_buys()
        outcome = self.kit.accept(shop, write)
        if outcome.result is PushResult.APPLIED and self.chance.random() < 0.1:
            return PushOutcome(outcome.listing_key, PushResult.UNKNOWN, reason="timed out")
        return outcome

    def sync(self):
        for each in [each for each in self.unseen if each[0] <= self.world.clock()]:
            _, nth, order_id, placed_at = each
            self.world.order(self.shops[nth][0], order_id, self.kit.Line("A", 1), placed_at=placed_at)
            self.unseen.remove(each)
        for _ in range(2):
            plan_push(self.world.hub, "acme")
            for stored, shop in self.shops:
                shop.answers = [self.answer] * 10
                deliver_push(self.world.hub, stored.name)

    def shown(self):
        return sum(shop.levels[f"l{nth}"] for nth, (_, shop) in enumerate(self.shops))


def test_nothing_is_sold_twice_and_everything_is_sold(world, kit):
    market = Market(world, kit, seed=1)
    for _ in range(45):
        market.sync()
        for _ in range(market.chance.randrange(5)):
            market.someone_buys()
            assert market.sold <= STOCK
        world.clock.advance(SYNC_SECONDS)
        if market.sold == STOCK and not market.unseen:
            break
    market.sync()

    assert (market.sold, market.shown()) == (STOCK, 0)
    in_flight = world.rows("SELECT sum(in_flight), count(*) FILTER (WHERE early_units > 0) FROM hub.listing_levels")
    assert tuple(in_flight[0]) == (0, 0)
