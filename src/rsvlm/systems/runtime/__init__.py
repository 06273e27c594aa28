"""A model folder behind its abilities: chat, detection, rounds of prompts."""
