"""PulseEngine speaks HTTP: health, and the pages between Discord and a member's broker."""
