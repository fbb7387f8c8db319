"""A local BlueRockTEL: the documented ticket API on loopback, with faults on demand.

Importing this package needs no Flask; serving does.
"""
