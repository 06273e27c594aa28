"""SkyCLIP: a state dict in a folder of its archive's name, bare or as the trainer saves it."""

from fake.releases import georsclip

NAME = "SkyCLIP_ViT_L14_top50pct"
RELEASE = georsclip.release("skyscript", "quick_gelu", f"{NAME}.pt")
