"""Data only: the weights of rsvlm-mini, its graphs for ONNX Runtime, its exact recipe, the list of what it was trained on, and its scores."""
