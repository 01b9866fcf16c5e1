"""Images and labels: what there is (dataset), and how it reaches the device (loader)."""
