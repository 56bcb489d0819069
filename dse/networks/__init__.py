"""The two views of a design point: the workload that is priced, the network that is trained."""
