"""Chat templates, train masks, tokenizers and the text of the tiny world. No torch."""
