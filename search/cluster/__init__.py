"""A study on many machines: its storage, its artifacts, its queue of trainings, and who works."""
