"""Service level objectives for the calibration of production models."""

__version__ = "0.1.0"
