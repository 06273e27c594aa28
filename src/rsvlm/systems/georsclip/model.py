"""GeoRSCLIP: CLIP fine-tuned on RS5M, five million remote sensing pictures with texts, whole or by adapters.

image -> ViT -> class token -> linear | linear <- end of text <- transformer <- text
Source: arXiv:2306.11300 (IEEE TGRS 2024), github.com/om-ai-lab/RS5M. Plain CLIP: no module is added but, in the paper's
comparison of parameter-efficient tuning, adapters (`adapters` of a recipe).
"""

from rsvlm.parts.vision_text import VisionTextDualEncoder
from rsvlm.systems.registry import SYSTEMS


@SYSTEMS("georsclip")
class GeoRSCLIP(VisionTextDualEncoder):
    """see: every token of the ViT; image_features: its class token, projected; text_features: the end, projected."""
