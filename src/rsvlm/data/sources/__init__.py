"""Readers, one per published layout; `rsvlm.data.catalogue` knows which set uses which."""
