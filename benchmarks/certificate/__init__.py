"""Compare what the certificate of an SLO predicts with what it simulates."""
