"""oms-hub: channel integration and sync hub for order management.

What belongs here: the hub itself, without any channel's particulars (`connectors/`) and without
Dagster (`assets/`). The imports between its packages point one way; see `docs/explanation/architecture.md`.
"""

__version__ = "0.1.0"
