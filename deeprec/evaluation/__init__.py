"""Ranking metrics of anything that scores, and the references to beat."""
