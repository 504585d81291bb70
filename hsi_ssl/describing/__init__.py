"""What `hsi-ssl info` tells of files and folders."""
