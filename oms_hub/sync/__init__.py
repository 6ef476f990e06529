"""One function per step of the flow; steps meet only in the store.

What belongs here: the order of things: read the store, call the channel, write in one transaction. Not here: SQL
(`oms_hub.store`), rules (`oms_hub.domain`), what a channel is like (`connectors`), when a step runs (`assets`).
"""
