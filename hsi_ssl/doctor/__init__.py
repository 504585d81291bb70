"""What `hsi-ssl doctor` looks at: this machine, and what on it would go wrong."""
