"""The CLIP of GAIA: fine-tuned on pictures with five captions each, one of which is drawn at every visit.

image -> ViT -> class token -> linear | linear <- end of text <- transformer <- text
Source: arXiv:2502.09598 (IEEE GRSM 2026), github.com/Orion-AI-Lab/GAIA, which has no training code and no weights: the
size of the CLIP and the numbers of its training are ours. GAIA is the data set's name, too.
"""

from rsvlm.parts.vision_text import VisionTextDualEncoder
from rsvlm.systems.registry import SYSTEMS


@SYSTEMS("gaia")
class GAIA(VisionTextDualEncoder):
    """see: every token of the ViT; image_features: its class token, projected; text_features: the end, projected."""
