"""Policies: the network, what it observes, and the formats that others publish theirs in."""
