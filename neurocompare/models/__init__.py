"""Networks: any PyTorch module, model zoos, the package's own networks, and their training."""
