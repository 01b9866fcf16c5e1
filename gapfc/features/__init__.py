"""What a frozen part of a network makes of each image: computed once, kept, trained on."""
