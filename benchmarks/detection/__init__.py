"""How soon detectors see a miscalibration, and how often they see one that is not there."""
