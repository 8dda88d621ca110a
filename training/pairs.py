"""Training batches: edits drawn evenly over families, with fresh wordings, all pictures of a batch of one size."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from training.latents import Shard
from training.phrases import phrase
from training.scenarios import TINTS, Edit

# How often each family is drawn: by pairs alone, backgrounds would take three quarters and each style one percent.
# A short run learns few families well: those that nano must do first have the most.
WEIGHTS = {
    "background": 62, "plain background": 22, "background, photos": 26, "plain background, photos": 9, "snow": 10,
    "black_and_white": 2, "blur": 2, "darker": 2, "night": 2, "brighter": 2, "sepia": 4, "sketch": 2, "negative": 2,
    "fog": 2, "pixel_art": 2, "rain": 8, "clear": 8,
    "recolour": 54, "remove": 58, "add": 28, "replace": 70, "mirror": 8,
}  # fmt: skip
# Nothing asked for, nothing changed: what guidance 0 does too.
EMPTY_PROMPTS = 0.05
# How often what is recoloured or replaced gets another's name, half of these with a colour before it.
MISNAMED = 0.3


@dataclass(frozen=True)
class Batch:
    """Normalised latents of references and targets, (N, 16, H/8, W/8), and N prompts.

    `kept` (N, H/16, W/16) is the share, in 0–1, of each token's pixels that the edit leaves as they are; `scenes` (N,)
    says which targets have a new scene, of which there are many.
    """

    references: Tensor
    targets: Tensor
    prompts: list[str]
    kept: Tensor
    scenes: Tensor


class Bucket:
    """All latents and edits of one picture size."""

    def __init__(self, shards: list[Shard], shift: float, scale: float, weights: Mapping[str, float]):
        self.latents = torch.cat([shard.latents for shard in shards])
        self.kept = torch.cat([shard.kept for shard in shards])
        self.shift, self.scale = shift, scale
        self.edits: list[Edit] = []
        start = 0
        for shard in shards:
            self.edits += [replace(e, source=e.source + start, target=e.target + start) for e in shard.edits]
            start += len(shard.latents)
        # The numbers of each family's edits.
        self.families: dict[str, list[int]] = {}
        for number, edit in enumerate(self.edits):
            if weights[edit.row]:
                self.families.setdefault(edit.row, []).append(number)
        self.names = list(self.families)
        self.objects = sorted({edit.words["object"] for edit in self.edits if "object" in edit.words})
        shares = np.array([weights[family] for family in self.names], float)
        self.shares = shares / shares.sum()

    def draw(self, rng: np.random.Generator, count: int) -> Batch:
        """A random batch."""
        numbers = [self.draw_edit(rng) for _ in range(count)]
        edits = [self.edits[number] for number in numbers]
        prompts = ["" if rng.random() < EMPTY_PROMPTS else phrase(rng, self.misname(rng, edit)) for edit in edits]
        targets = self.take(
            [edit.target if prompt else edit.source for edit, prompt in zip(edits, prompts, strict=True)]
        )
        references = self.take([edit.source for edit in edits])
        scenes = torch.tensor([edit.family == "background" for edit in edits])
        kept = self.kept[numbers].float() / 255
        kept[[prompt == "" for prompt in prompts]] = 1.0
        return Batch(references, targets, prompts, kept, scenes)

    def draw_edit(self, rng: np.random.Generator) -> int:
        """A family by its weight, then any edit of it: its number."""
        numbers = self.families[self.names[rng.choice(len(self.names), p=self.shares)]]
        return numbers[rng.integers(len(numbers))]

    def misname(self, rng: np.random.Generator, edit: Edit) -> Edit:
        """`edit`, sometimes with another name for its picture's only object, which is meant whatever it is called.

        Otherwise a name that nano never met, or one with a colour in it ("leafy green"), makes another edit of it.
        What is to be removed keeps its name, by which nano tells the subject from a thing in a corner.
        """
        if edit.family not in ("recolour", "replace") or rng.random() >= MISNAMED:
            return edit
        name = str(rng.choice(self.objects))
        if rng.random() < 0.5:
            name = f"{rng.choice(TINTS)} {name}"
        return replace(edit, words={**edit.words, "object": name})

    def take(self, rows: list[int]) -> Tensor:
        """Normalised float latents of those pictures."""
        return (self.latents[torch.tensor(rows)].float() - self.shift) * self.scale


class Pairs:
    """Every shard, in buckets by size, drawn by how many pictures each has; a family of weight 0 is left out."""

    def __init__(self, shards: list[Shard], shift: float, scale: float, weights: Mapping[str, float] = WEIGHTS):
        sizes = sorted({shard.size for shard in shards})
        grouped = [[shard for shard in shards if shard.size == size] for size in sizes]
        self.buckets = [Bucket(group, shift, scale, weights) for group in grouped]
        counts = np.array([len(bucket.latents) for bucket in self.buckets], float)
        self.shares = counts / counts.sum()

    def draw(self, rng: np.random.Generator, count: int) -> Batch:
        """A random batch of one random size."""
        return self.buckets[rng.choice(len(self.buckets), p=self.shares)].draw(rng, count)


class Stream(IterableDataset):
    """Random batches without end; each process that draws has a seed of its own."""

    def __init__(self, pairs: Pairs, count: int, seed: list[int]):
        self.pairs, self.count, self.seed = pairs, count, seed

    def __iter__(self) -> Iterator[Batch]:
        """Batches from this process' own generator."""
        worker = get_worker_info()
        rng = np.random.default_rng([*self.seed, worker.id if worker else 0])
        while True:
            yield self.pairs.draw(rng, self.count)


def stream(pairs: Pairs, count: int, seed: list[int], drawers: int) -> Iterator[Batch]:
    """Random batches without end, drawn ahead by so many processes: a GPU would wait for a single one."""
    return iter(DataLoader(Stream(pairs, count, seed), batch_size=None, num_workers=drawers))
