"""What a policy became: held-out figures and the report."""
