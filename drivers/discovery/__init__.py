"""What a Memristor Discovery board is made of: library, circuits, waves, captures."""
