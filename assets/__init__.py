"""The only home of Dagster: bodies of at most some fifteen lines, no rules, no channel by name."""
