"""Tests of the pipeline's stages on real stores."""
