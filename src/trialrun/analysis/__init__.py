"""Datasets, populations, estimates, expression signature."""
