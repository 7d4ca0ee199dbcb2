"""Policies: networks, observations, and the formats in which others publish theirs."""
