"""Recordings become features of a task: corpora, download, synthesis, mel cepstra."""
