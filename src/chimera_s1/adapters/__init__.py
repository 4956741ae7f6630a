"""The driven side: each package speaks to one thing outside the process and implements ports for
it.

Adapters do not import each other. `market_file` (our own file format) is the one module that two
of them share. Foreign exceptions stop here.
"""
