"""Readers and writers of recordings, one file format per module; ``files`` detects the format from a file's content."""
