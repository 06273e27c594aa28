"""Language models, and what puts experts or adapters into them."""
