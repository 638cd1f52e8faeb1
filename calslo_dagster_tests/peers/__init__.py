"""Real local servers that behave as strictly, and as badly, as the services that messages go to."""
