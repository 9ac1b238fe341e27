"""Boards that are not there: the same `labctl.board.Board`, with ngspice or its fast twin inside."""
