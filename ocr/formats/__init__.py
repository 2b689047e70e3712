"""One document, many faces: each module turns a Document into one format."""
