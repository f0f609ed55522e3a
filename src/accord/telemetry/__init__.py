"""Where metric rows go: files and the terminal."""
