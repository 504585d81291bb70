"""Where pixels come from: lazy cubes of any format, their labels, the catalog, the simulator."""
