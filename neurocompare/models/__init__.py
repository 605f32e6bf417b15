"""Gives networks: any PyTorch module, small networks of our own, training regimes."""
