"""Training of large networks that is aware of the crossbars they will run on (extra `aware`: torch).

After Chakraborty, D. Roy and K. Roy, "Technology Aware Training in Memristive Neuromorphic Systems for
Nonideal Synaptic Crossbars", arXiv:1711.08889.
"""
