"""What switch boxes share: break before make, and read back."""
