"""The command line, one module per group of commands; `oms_hub.cli` binds them. No rules, no SQL."""
