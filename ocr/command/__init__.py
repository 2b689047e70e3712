"""The command line: files in, files out, by the models here or by a server."""
