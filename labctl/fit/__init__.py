"""From measured recordings to the parameters of a device model, with what the data cannot determine said.

Readers (`readers`) make `Recording`s of files and runs and tell what is wrong with them; `excerpts`
cuts them to what is compared; a `Candidate` is a model that predicts currents; `fitting` finds its
unknowns, their intervals and correlations, and what is left out of the fit says how well it predicts.
"""
