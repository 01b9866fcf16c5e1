"""The forms a comparison takes: table, sentences, files, pictures, page."""
