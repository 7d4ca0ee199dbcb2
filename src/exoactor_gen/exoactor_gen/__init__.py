"""Video generation: from an instruction to a third-person video of a person."""
