"""Compares RDMs: fits, noise ceilings, resampling, inference."""
