"""Models of others: Hugging Face folders and OpenAI-compatible servers."""
