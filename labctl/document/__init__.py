"""Reports: one HTML file that says what became of a run or a study, with its pictures inside."""
