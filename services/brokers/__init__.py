"""The brokers that orders can go to, behind one vocabulary."""
