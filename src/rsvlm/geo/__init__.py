"""Pixels that know where they are: rasters, bands, tiles, places, GeoJSON and pictures of answers."""
