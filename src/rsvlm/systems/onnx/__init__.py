"""The embedded model on ONNX Runtime: exported once with PyTorch, answered with NumPy and onnxruntime alone."""
