"""One module per change of the schema, frozen once it is released."""
