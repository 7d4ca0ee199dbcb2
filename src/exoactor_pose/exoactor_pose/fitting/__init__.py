"""Fitting the body model to landmarks over time."""
