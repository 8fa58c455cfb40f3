"""Making heads: text, hidden states, training, model card."""
