"""Where work is done: here, in processes beside this one, on a cluster."""
