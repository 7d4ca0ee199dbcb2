"""What a video as such tells: cuts, camera motion, who is in it."""
