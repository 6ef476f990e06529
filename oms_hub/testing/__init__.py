"""What a connector's author imports: the contract suite, a proxy that injects faults, a fake channel, factories.

What belongs here: test support that is product, typed and documented, and that knows no particular channel.
Not here: tests of the hub itself (`tests/`).
"""
