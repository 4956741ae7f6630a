"""The driven side: each package connects to one external system and implements ports for it.

Adapters do not import each other; they share only `market_file`, our own file format, and how files
are read. Exceptions of libraries are translated here.
"""
