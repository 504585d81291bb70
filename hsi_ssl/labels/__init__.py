"""Labels: codes, names, colours; rasters and vector layers brought onto scenes."""
