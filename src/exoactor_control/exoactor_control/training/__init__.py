"""A tracker of our own: distilled from a teacher, on references of our own generator, in MuJoCo."""
