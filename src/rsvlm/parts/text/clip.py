"""Text towers of CLIP (arXiv:2103.00020) and SigLIP (arXiv:2303.15343): token ids to one vector a text."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class CLIPText(nn.Module):
    """A causal transformer over tokens: ids (B, T), mask (B, T) -> (B, `dim`), the state at the end of the text.

    The end is the token with the largest id, as in the original: nothing behind it is seen, so that padding does not
    matter. `activation` is that of its MLPs, "quick_gelu" or "gelu".
    """

    def __init__(
        self, *, vocabulary: int, width: int, depth: int, heads: int, activation: str, context: int = 77,
        mlp_ratio: float = 4.0,
    ) -> None:  # fmt: skip
        from transformers import CLIPTextConfig, CLIPTextModel

        super().__init__()
        config = CLIPTextConfig(
            vocab_size=vocabulary, hidden_size=width, intermediate_size=int(mlp_ratio * width),
            num_hidden_layers=depth, num_attention_heads=heads, max_position_embeddings=context, hidden_act=activation,
            bos_token_id=vocabulary - 2, eos_token_id=vocabulary - 1,
        )  # fmt: skip
        self.model = CLIPTextModel(config)
        self.dim, self.max_text = width, context

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Token ids and their mask -> (B, dim)."""
        states = self.model(input_ids=ids).last_hidden_state
        return states[torch.arange(len(ids), device=ids.device), ids.argmax(1)]


class SigLIPText(nn.Module):
    """A transformer over `context` tokens that all see each other, padding included -> (B, `dim`), by the last one.

    ids (B, T) and mask (B, T); texts are filled up with the token `padding`, as SigLIP was trained.
    """

    def __init__(
        self, *, vocabulary: int, width: int, depth: int, heads: int, hidden: int, context: int = 64, padding: int = 1
    ) -> None:
        from transformers import SiglipTextConfig, SiglipTextModel

        super().__init__()
        config = SiglipTextConfig(
            vocab_size=vocabulary, hidden_size=width, intermediate_size=hidden, num_hidden_layers=depth,
            num_attention_heads=heads, max_position_embeddings=context, projection_size=width,
            bos_token_id=None, eos_token_id=None,
        )  # fmt: skip
        self.model = SiglipTextModel(config)
        self.dim, self.max_text, self.padding = width, context, padding

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Token ids and their mask -> (B, dim)."""
        ids = F.pad(ids.where(mask, self.padding), (0, self.max_text - ids.shape[1]), value=self.padding)
        return self.model(input_ids=ids).pooler_output
