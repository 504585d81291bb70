"""What `import hsi_ssl` offers: scenes, datasets and runs, and estimators for scikit-learn."""
