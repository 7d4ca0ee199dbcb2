"""Whether a generated video may go on: what is asked of it, and what was found."""
