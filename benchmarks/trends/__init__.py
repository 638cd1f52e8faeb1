"""How well trends foretell courses that are known: straight ones, plateaus, random walks, cycles and accelerations."""
