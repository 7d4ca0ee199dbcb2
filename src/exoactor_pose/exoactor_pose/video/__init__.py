"""Properties of the video itself: cuts, camera motion, people in it."""
