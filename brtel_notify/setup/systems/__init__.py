"""The drop-ins, one module a system."""
