"""Data only: weights, ONNX graphs and recipe of rsvlm-mini, what it was trained on, and its scores."""
