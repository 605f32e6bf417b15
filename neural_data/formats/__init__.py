"""Readers and writers of recordings, one file format a module; ``files`` chooses among them by content."""
