"""Physical constants."""

GRAVITY = 9.81
"""m/s^2, also MuJoCo's."""
