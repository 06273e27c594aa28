"""Labels to training targets: conversations and tags."""
