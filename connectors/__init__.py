"""One package per channel; each binds its `CHANNEL`. Connectors know the hub and never each other."""
