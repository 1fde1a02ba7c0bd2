"""Files: pixels and their label go out, pictures of unknown origin come in."""
