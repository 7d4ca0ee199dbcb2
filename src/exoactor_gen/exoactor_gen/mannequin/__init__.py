"""The generator that needs no model: choreography of a person, and its video."""
