"""What instruments say and are told: numbers, SCPI, TSP."""
