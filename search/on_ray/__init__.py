"""Trainings and sweeps on a Ray cluster, which may be this machine alone."""
