"""Finding people and their landmarks in images."""
