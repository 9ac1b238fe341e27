"""The Analog Discovery at the level of its calls, with a Memristor Discovery board on it."""
