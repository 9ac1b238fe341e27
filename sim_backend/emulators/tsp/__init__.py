"""TSP as an instrument hears it."""
