"""PulseEngine speaks HTTP: health today, callbacks and webhooks as they come."""
