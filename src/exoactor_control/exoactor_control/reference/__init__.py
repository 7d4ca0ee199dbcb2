"""The reference that a policy tracks, prepared from a motion and repaired where it is broken."""
