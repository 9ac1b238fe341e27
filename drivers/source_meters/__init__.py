"""What source-measure units share: one board, whatever language they speak."""
