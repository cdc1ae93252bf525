"""A stand-in Discord: gateway, REST, faults, and the API of its page."""
