"""Design points: networks as data, and the spaces they are chosen from. No torch."""
