"""What the commands answer: pages for a person and for a program, from what was written down alone."""
