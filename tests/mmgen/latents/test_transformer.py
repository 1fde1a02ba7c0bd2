"""Laws of the denoiser: what conditions it, what must not, and how it is saved."""

import pytest
import torch

from mmgen.latents.transformer import DenoisingCache, GarmentTransformer2DModel, position_table


def tiny(**changes) -> GarmentTransformer2DModel:
    torch.manual_seed(0)
    model = GarmentTransformer2DModel(
        **{
            "in_channels": 4,
            "sample_height": 8,
            "sample_width": 6,
            "width": 32,
            "num_layers": 2,
            "num_heads": 2,
            "text_dim": 16,
            "pooled_dim": 8,
            "reference_dim": 8,
            "max_references": 2,
            "reference_tokens": 3,
            **changes,
        }
    ).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    return model


def inputs(batch=2):
    generator = torch.Generator().manual_seed(1)

    def randn(*shape):
        return torch.randn(*shape, generator=generator)

    return {
        "hidden_states": randn(batch, 4, 8, 6),
        "timestep": torch.full((batch,), 500.0),
        "encoder_hidden_states": randn(batch, 5, 16),
        "encoder_attention_mask": torch.tensor([[1, 1, 1, 0, 0]] * batch),
        "pooled_projections": randn(batch, 8),
        "reference_hidden_states": randn(batch, 2, 3, 8),
        "reference_weights": torch.tensor([[1.0, 0.0]] * batch),
        "valid_box": torch.tensor([[0.0, 0.0, 1.0, 1.0]] * batch),
    }


@torch.inference_mode()
def run(model, **changes):
    return model(**{**inputs(), **changes}).sample


def test_the_answer_has_the_shape_of_the_latents():
    assert run(tiny()).shape == (2, 4, 8, 6)


def test_a_fresh_model_predicts_zero():
    fresh = GarmentTransformer2DModel(width=32, num_layers=1, num_heads=2, in_channels=4)
    sample = fresh(
        torch.randn(1, 4, 32, 24),
        torch.tensor([300.0]),
        torch.randn(1, 4, 256),
        torch.ones(1, 4),
        torch.randn(1, 256),
        torch.zeros(1, 4, 12, 256),
        torch.zeros(1, 4),
    ).sample
    assert torch.equal(sample, torch.zeros_like(sample))


def test_padding_and_absent_references_are_never_read():
    model = tiny()
    before = run(model)
    changed = inputs()
    changed["encoder_hidden_states"][:, 3:] = 99.0
    changed["reference_hidden_states"][:, 1] = 99.0
    assert torch.equal(before, run(model, **changed))


@pytest.mark.parametrize(
    "name", ["encoder_hidden_states", "pooled_projections", "reference_hidden_states", "timestep"]
)
def test_each_condition_changes_the_answer(name):
    model = tiny()
    assert not torch.allclose(run(model), run(model, **{name: inputs()[name] * 0.5}), atol=1e-5)


def test_an_unknown_box_differs_from_the_whole_frame_and_equals_none():
    model = tiny()
    unknown = run(model, valid_box=torch.zeros(2, 4))
    assert torch.equal(unknown, run(model, valid_box=None))
    assert not torch.allclose(unknown, run(model), atol=1e-6)


def test_a_row_does_not_see_its_neighbours():
    model = tiny()
    alone = {name: value[1:] for name, value in inputs().items()}
    with torch.inference_mode():
        assert torch.allclose(run(model)[1:], model(**alone).sample, atol=1e-5)


def test_a_filled_cache_stands_for_text_and_references():
    model, cache = tiny(), DenoisingCache()
    run(model, cache=cache)
    later = {"timestep": torch.full((len(inputs()["timestep"]),), 300.0)}
    wanted = run(model, **later)
    blank = {
        name: torch.zeros_like(inputs()[name])
        for name in ("encoder_hidden_states", "reference_hidden_states", "reference_weights")
    }
    assert torch.equal(run(model, **later, **blank, cache=cache), wanted)
    assert not torch.allclose(run(model, **later, **blank), wanted, atol=1e-4)


def test_it_compiles_into_one_graph():
    model = tiny()
    compiled = torch.compile(model, backend="eager", fullgraph=True)
    assert torch.allclose(compiled(**inputs()).sample, run(model), atol=1e-5)


def test_positions_are_the_same_places_at_another_resolution():
    coarse = position_table(4, 4, 32, 4, 4).view(4, 4, 32)
    fine = position_table(12, 12, 32, 4, 4).view(12, 12, 32)
    assert torch.allclose(coarse, fine[1::3, 1::3], atol=1e-5)


@pytest.mark.parametrize("backend", ["native", "_native_math"])
def test_backends_agree(backend):
    model = tiny()
    before = run(model)
    model.set_attention_backend(backend)
    assert torch.allclose(before, run(model), atol=1e-5)


def test_a_fresh_lora_changes_nothing_and_a_trained_one_does():
    from peft import LoraConfig

    model = tiny()
    before = run(model)
    model.add_adapter(LoraConfig(r=2, target_modules=["to_qkv", "to_q", "to_kv"]), "style")
    assert torch.allclose(before, run(model), atol=1e-6)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.5)
    assert not torch.allclose(before, run(model), atol=1e-3)
    model.disable_adapters()
    assert torch.allclose(before, run(model), atol=1e-6)


def test_saved_and_loaded_is_the_same(tmp_path):
    model = tiny()
    model.save_pretrained(tmp_path)
    again = GarmentTransformer2DModel.from_pretrained(tmp_path).eval()
    assert torch.equal(run(model), run(again))
