"""PulseEngine speaks Discord: slash commands, buttons, pictures."""
