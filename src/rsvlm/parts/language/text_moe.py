"""Text-MoE: a mixture of MLPs over the embeddings of words, as the repository of RS-MoE has it."""

import torch
from torch import Tensor, nn

from rsvlm.parts.checkpoints.weights import WeightTable


class TextMoE(nn.Module):
    """Each word's embedding through the best `top_k` of `experts` MLPs and through all `shared` ones; (..., D) both.

    y = sum over the chosen of share * E(x) + sum over the shared of E'(x), E = Linear(GELU(Linear(x))), four times as
    wide inside. Shares are the chosen experts' softmax (fp32, over all experts), scaled to a sum of 1.

    Source: github.com/CongcongWen1208/RS-MoE, ShareExpertMOE: a mixture that works word by word, not the Instruction
    Router of the paper. As released there is no residual, so experts that start random put noise in the place of the
    language model's embeddings: `residual=False` is that form. By default (ours) the input is added, and the experts
    start as zero, so that training starts from the language model as it is. The released code has no balancing loss.
    """

    def __init__(
        self,
        dim: int,
        *,
        experts: int = 4,
        top_k: int = 2,
        shared: int = 2,
        dropout: float = 0.1,
        residual: bool = True,
    ) -> None:
        super().__init__()
        if not 1 <= top_k <= experts:
            raise ValueError(f"{top_k} of {experts} experts cannot be chosen")
        self.top_k, self.residual = top_k, residual
        self.gate = nn.Linear(dim, experts)
        self.routed = nn.ModuleList(_mlp(dim, dropout) for _ in range(experts))
        self.shared = nn.ModuleList(_mlp(dim, dropout) for _ in range(shared))
        if residual:
            for name, parameter in self.named_parameters():
                if ".3." in name:  # the last map of each
                    nn.init.zeros_(parameter)

    def route(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Words (N, D) -> logits (N, experts), shares (N, top_k) with a sum of 1, and the chosen experts (N, top_k)."""
        logits = self.gate(x)
        best, chosen = logits.float().softmax(-1).topk(self.top_k, dim=-1)
        return logits, (best / best.sum(-1, keepdim=True)).to(x.dtype), chosen

    def sparse(self, x: Tensor) -> Tensor:
        """Words (N, D) -> what the chosen experts say of them (N, D)."""
        _, shares, chosen = self.route(x)
        out = torch.zeros_like(x)
        for number, expert in enumerate(self.routed):
            # An expert that nobody chose runs too, on no word: processes that share it in slices wait for each other.
            rows, place = (chosen == number).nonzero(as_tuple=True)
            out = out.index_add(0, rows, (expert(x[rows]) * shares[rows, place, None]).to(out.dtype))
        return out

    def forward(self, x: Tensor) -> Tensor:
        """Embeddings (..., D) -> embeddings (..., D); a word's place among the others does not matter."""
        flat = x.flatten(0, -2)
        out = self.sparse(flat)
        for expert in self.shared:
            out = out + expert(flat)
        return (flat + out if self.residual else out).to(x.dtype).view_as(x)


TEXT_MOE = WeightTable(
    {
        r"moe_model\.router\.gate\.(.+)": r"gate.\1",
        r"moe_model\.experts\.(\d+)\.linear1\.(.+)": r"routed.\1.0.\2",
        r"moe_model\.experts\.(\d+)\.linear2\.(.+)": r"routed.\1.3.\2",
        r"shared_experts\.(\d+)\.linear1\.(.+)": r"shared.\1.0.\2",
        r"shared_experts\.(\d+)\.linear2\.(.+)": r"shared.\1.3.\2",
    }
)


def _mlp(dim: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(nn.Linear(dim, 4 * dim), nn.GELU(), nn.Dropout(dropout), nn.Linear(4 * dim, dim))
