"""What a comparison is told in: table, sentences, files, pictures, page."""
