"""Other people's weights, read without running them.

Uses models and the ground.
"""
