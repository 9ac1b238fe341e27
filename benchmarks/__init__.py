"""Side-by-side speed: `make bench`, or `python -m benchmarks NAME` for one of them. Nothing here asserts."""
