"""Whether, where and why network models represent objects and faces as the macaque face patches do."""

__version__ = "0.1.0"
