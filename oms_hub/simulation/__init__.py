"""Sells on simulated channels under the real stock rules, on a simulated clock and a seeded source of chance.

What belongs here: buyers, channels with delays and faults, ways of pushing stock, and the figures that come out.
Standard library and `oms_hub.domain` only. Not here: the rules themselves; nothing here knows a better answer than
`oms_hub.domain` gives a real merchant.
"""
