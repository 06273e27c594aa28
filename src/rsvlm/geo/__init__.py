"""Georeferenced rasters: opening, bands, tiling, pixel to longitude/latitude, GeoJSON, overlays of answers."""
