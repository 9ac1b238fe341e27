"""The on-chip training controller: target weights, their places, the session, tests, learning on the chip."""
