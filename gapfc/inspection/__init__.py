"""What models cost, without training them."""
