"""How often the intervals of the product hold the truth, on models whose truth is known."""
