"""GPT-2, whole or a stage of it, for the peers of `pipefw bench train`."""
import torch
from torch import nn
from torch.nn import functional as F


class Block(nn.Module):
    def __init__(self, c, heads):
        super().__init__()
        self.heads = heads
        self.ln_1 = nn.LayerNorm(c)
        self.qkv = nn.Linear(c, 3 * c)
        self.proj = nn.Linear(c, c)
        self.ln_2 = nn.LayerNorm(c)
        self.fc = nn.Linear(c, 4 * c)
        self.fc_proj = nn.Linear(4 * c, c)

    def forward(self, x):
        b, t, c = x.shape
        q, k, v = self.qkv(self.ln_1(x)).split(c, dim=2)
        q, k, v = (y.view(b, t, self.heads, -1).transpose(1, 2)
                   for y in (q, k, v))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.proj(y.transpose(1, 2).reshape(b, t, c))
        y = F.gelu(self.fc(self.ln_2(x)), approximate="tanh")
        return x + self.fc_proj(y)


class GPT2(nn.Module):
    """Tokens or activations in; activations, or logits of the last stage out."""

    def __init__(self, layers, heads, c, context, vocab, first=True, last=True):
        super().__init__()
        self.first, self.last = first, last
        if first:
            self.wte = nn.Embedding(vocab, c)
            self.wpe = nn.Embedding(context, c)
        self.blocks = nn.ModuleList(Block(c, heads) for _ in range(layers))
        if last:
            self.ln_f = nn.LayerNorm(c)
            self.head = nn.Linear(c, vocab, bias=False)
        if first and last:
            self.head.weight = self.wte.weight
        for p in self.parameters():
            if p.dim() > 1:
                nn.init.normal_(p, std=0.02)

    def tied(self):
        return self.wte.weight if self.first else self.head.weight

    def forward(self, x):
        if self.first:
            x = self.wte(x) + self.wpe(
                torch.arange(x.shape[1], device=x.device))
        for block in self.blocks:
            x = block(x)
        return self.head(self.ln_f(x)) if self.last else x


def loss_of(logits, targets):
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten())
