"""Readers and writers of recordings, one file format a module."""
