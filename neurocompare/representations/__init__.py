"""Turns a network or a recording into RDMs, and measures what they say about views."""
