"""Receive checkpoint updates from P2PWeights in a Python process; see :mod:`p2pweights.engine`."""

__version__ = "0.1.0"
