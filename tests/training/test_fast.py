"""In which type products are made while nano trains."""

from __future__ import annotations

import pytest
import torch

from training.fast import BFLOAT16, autocast, choose_type

CPU = torch.device("cpu")


@pytest.mark.parametrize("ability", BFLOAT16)
def test_bfloat16_where_the_cpu_multiplies_it(monkeypatch: pytest.MonkeyPatch, ability: str) -> None:
    """Elsewhere its products are made one by one, many times slower than in float32."""
    able = {"avx2": True, "architecture": "x86_64", "avx512_bf16": False}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: able)
    assert torch.float32 == choose_type(CPU)
    able[ability] = True
    assert torch.bfloat16 == choose_type(CPU)


def test_an_accelerator_has_bfloat16() -> None:
    """Whatever the CPU beside it can do."""
    assert torch.bfloat16 == choose_type(torch.device("cuda"))


@pytest.mark.parametrize("able", [False, True])
def test_products_have_the_type(monkeypatch: pytest.MonkeyPatch, able: bool) -> None:
    """And what was there before keeps its own."""
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {BFLOAT16[0]: able})
    matrix = torch.ones(2, 2)
    with autocast(CPU):
        product = matrix @ matrix
    assert [choose_type(CPU), torch.float32] == [product.dtype, matrix.dtype]
