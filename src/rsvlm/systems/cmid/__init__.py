"""CMID: contrastive mask image distillation, which pre-trains a tower without labels (arXiv:2304.09670)."""
