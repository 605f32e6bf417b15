"""Turns networks and recordings into RDMs, and measures view tuning in them."""
