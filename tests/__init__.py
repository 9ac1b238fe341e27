"""A package, so that no `tests` package of an installed library stands in its place."""
