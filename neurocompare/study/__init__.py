"""Studies: the grammar of study files, and the steps that turn a study file into a run folder."""
