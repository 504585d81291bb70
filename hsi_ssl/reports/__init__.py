"""Numbers, figures and pages for people."""
