"""The outside world on one machine: a stand-in Discord with a page, and a synthetic market."""
