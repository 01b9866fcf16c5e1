"""Images and labels: what exists (dataset), and how it reaches the device (loader)."""
