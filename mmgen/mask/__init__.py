"""Where the garment is in a picture, and what part of it was asked for."""
