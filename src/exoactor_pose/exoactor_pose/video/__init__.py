"""What a video as such shows: cuts, camera motion, who is in it."""
