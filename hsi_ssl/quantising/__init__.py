"""Scenes and datasets told by a few prototypes: learnt, mapped, named, shown."""
