"""One module a monitoring system: a raw capture becomes an Alert."""
