"""The model servers, each a Bento service with adaptive batching."""
