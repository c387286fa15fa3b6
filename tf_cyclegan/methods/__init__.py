"""The methods: each one's settings, networks, objective, step, samples and translators in one place.

Uses optimization, models, losses and the ground; knows no data, no run folder and no log.
"""
