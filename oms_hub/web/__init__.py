"""The merchant console: who may see what, pages, the JSON API. No SQL, no rules, no channel's name."""
