"""Where market data comes from: one adapter per source behind one small interface."""
