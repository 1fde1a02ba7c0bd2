"""Colour by measure: CIELAB, names and cards, a garment moved to another colour."""
