"""Read the person's motion out of a video."""
