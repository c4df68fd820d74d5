"""Memories that are tensors. Needs torch: pip install 'memorist[neural]'."""
