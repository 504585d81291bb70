"""From a scene and a model to a georeferenced class map."""
