"""Pure losses: tensors in, `Loss` out. No configs, no state."""
