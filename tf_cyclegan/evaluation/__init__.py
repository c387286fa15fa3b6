"""How good a translator is: the metrics, the page, the study.

Uses translation, training (for runs), data and the ground.
"""
