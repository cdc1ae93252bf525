"""What PulseEngine knows and does, free of Discord and of HTTP servers."""
