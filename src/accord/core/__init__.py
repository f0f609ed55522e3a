"""Domain values, identities, seams and errors. Standard library only."""
