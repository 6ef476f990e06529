"""The port that every connector implements, and what connectors share: HTTP, pacing, secrets, the registry."""
