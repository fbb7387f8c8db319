"""brtel-notify: a monitoring alert becomes exactly one BlueRockTEL ticket."""

__version__ = "0.1.0"
