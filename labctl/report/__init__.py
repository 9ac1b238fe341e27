"""Pictures of a run, worked out from its journal alone and drawn into its folder.

What is drawn is kept apart from how: `history` and `summary` read the journal and give plain
numbers, one module a picture turns them into a figure, `style` holds what all figures share, and
`pictures.draw` makes the files. matplotlib is imported when the first figure is made.
"""
