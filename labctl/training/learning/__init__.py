"""Learning with the chip's own forward pass: by pulses, and by training again around what was measured."""
