"""What goes from one network to another, and what comes back."""
