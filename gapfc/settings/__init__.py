"""Settings: how they are composed, checked, explained, and built into objects."""
