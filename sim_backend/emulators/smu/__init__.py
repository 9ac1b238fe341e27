"""A source-measure unit without a language."""
