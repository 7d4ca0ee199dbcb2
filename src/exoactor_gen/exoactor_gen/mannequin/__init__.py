"""The generator that needs no model: a person's choreography, and its video."""
