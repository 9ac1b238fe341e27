"""Boards and instruments that are there: one file a device, each a `labctl.board.Board`."""
