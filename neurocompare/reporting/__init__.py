"""Writes tables, figures and the report; computes no statistics."""
