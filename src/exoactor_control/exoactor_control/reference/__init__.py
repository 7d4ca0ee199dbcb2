"""The reference that a policy tracks, made of a motion and repaired where it is torn."""
