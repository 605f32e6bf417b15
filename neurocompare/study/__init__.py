"""A study file becomes a run: the grammar that it is checked against, and the steps that it asks for."""
