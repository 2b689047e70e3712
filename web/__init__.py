"""What the HTTP side is made of, apart from the service itself."""
