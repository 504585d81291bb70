"""Which pixels to label next."""
