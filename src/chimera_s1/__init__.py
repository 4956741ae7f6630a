"""Chimera S1: the exchange connector of the trading system Chimera."""

from importlib.metadata import version

__version__ = version("chimera-s1")
