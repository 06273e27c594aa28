"""SkyCLIP: CLIP trained on with SkyScript, pictures of Earth Engine described by OpenStreetMap's tags.

image -> ViT -> class token -> linear | linear <- end of text <- transformer <- text
Source: arXiv:2312.12856 (AAAI 2024), github.com/wangzhecheng/SkyScript. Plain CLIP of open_clip 2.20.
"""

from rsvlm.parts.vision_text import VisionTextDualEncoder
from rsvlm.systems.registry import SYSTEMS


@SYSTEMS("skyscript")
class SkyCLIP(VisionTextDualEncoder):
    """see: every token of the ViT; image_features: its class token, projected; text_features: the end, projected."""
