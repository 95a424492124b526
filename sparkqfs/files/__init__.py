"""Files of the cluster's storage, from here or inside a container: it is in the images, so standard library only."""
