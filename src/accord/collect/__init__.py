"""Judgements and demonstrations on their way in."""
