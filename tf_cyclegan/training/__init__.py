"""Runs a method: the loop, the run folder, the log, the devices.

Uses methods, torch_weights, data, optimization and the ground; knows no loss and no layer.
"""
