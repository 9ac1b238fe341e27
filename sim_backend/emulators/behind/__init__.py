"""What is behind the terminals: devices with a state, limits of current, relays."""
