"""Which pixels are the thing that was asked about, told from the scene alone, without labels."""
