"""Stepping a policy at 50 Hz: state machine, safety limits, tracker, odometry, single support."""
