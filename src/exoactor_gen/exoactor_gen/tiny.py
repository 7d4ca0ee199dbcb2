"""Pipelines of `diffusers` with random weights, some hundred kilobytes each: for tests and the benchmark."""

from pathlib import Path

import numpy as np
import torch
from diffusers import (
    AutoencoderKL,
    AutoencoderKLLTXVideo,
    AutoencoderKLWan,
    FlowMatchEulerDiscreteScheduler,
    FluxKontextPipeline,
    FluxPipeline,
    FluxTransformer2DModel,
    LTXPipeline,
    LTXVideoTransformer3DModel,
    WanImageToVideoPipeline,
    WanPipeline,
    WanTransformer3DModel,
)
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import CLIPTextConfig, CLIPTextModel, PreTrainedTokenizerFast, T5Config, T5EncoderModel


def words(longest: int = 512) -> PreTrainedTokenizerFast:
    """A tokenizer to which every word and mark is a token."""
    tokenizer = Tokenizer(models.WordLevel({"<pad>": 0, "</s>": 1, "<unk>": 2}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>", model_max_length=longest
    )


def _text_parts():
    config = T5Config(vocab_size=8, d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2)
    return {"tokenizer": words(), "text_encoder": T5EncoderModel(config)}


def _wan(with_picture=False, both=False):
    vae = AutoencoderKLWan(
        base_dim=8, z_dim=16, dim_mult=[1, 1, 1, 1], num_res_blocks=1, temperal_downsample=[False, True, True]
    )
    transformer = WanTransformer3DModel(
        patch_size=(1, 2, 2), num_attention_heads=2, attention_head_dim=12, in_channels=36 if with_picture else 16,
        out_channels=16, text_dim=16, freq_dim=16, ffn_dim=16, num_layers=2, rope_max_seq_len=32,
    )  # fmt: skip
    parts = {**_text_parts(), "vae": vae, "transformer": transformer}
    parts["scheduler"] = FlowMatchEulerDiscreteScheduler(shift=3.0)
    if with_picture:
        return WanImageToVideoPipeline(**parts, image_encoder=None, image_processor=None)
    return WanPipeline(**parts, expand_timesteps=both)


def _ltx():
    vae = AutoencoderKLLTXVideo(
        latent_channels=8, block_out_channels=(8,) * 4, decoder_block_out_channels=(8,) * 4, layers_per_block=(1,) * 5,
        decoder_layers_per_block=(1,) * 5, spatio_temporal_scaling=(True, True, False, False),
        decoder_spatio_temporal_scaling=(True, True, False, False), decoder_inject_noise=(False,) * 5,
        upsample_residual=(False,) * 4, upsample_factor=(1,) * 4, patch_size=1, decoder_causal=False,
    )  # fmt: skip
    transformer = LTXVideoTransformer3DModel(
        in_channels=8, out_channels=8, num_attention_heads=2, attention_head_dim=8, cross_attention_dim=16,
        num_layers=1, caption_channels=16,
    )  # fmt: skip
    return LTXPipeline(**_text_parts(), vae=vae, transformer=transformer, scheduler=FlowMatchEulerDiscreteScheduler())


def _flux(kind):
    config = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    clip = CLIPTextModel(CLIPTextConfig(**config, vocab_size=8, projection_dim=16, eos_token_id=1))
    vae = AutoencoderKL(
        block_out_channels=(4,), norm_num_groups=1, latent_channels=1, sample_size=32, use_quant_conv=False,
        use_post_quant_conv=False, shift_factor=0.0, scaling_factor=1.0,
    )  # fmt: skip
    transformer = FluxTransformer2DModel(
        in_channels=4, num_layers=1, num_single_layers=1, attention_head_dim=16, num_attention_heads=2,
        joint_attention_dim=16, pooled_projection_dim=16, axes_dims_rope=(4, 4, 8),
    )  # fmt: skip
    t5 = _text_parts()
    return kind(
        scheduler=FlowMatchEulerDiscreteScheduler(), text_encoder=clip, tokenizer=words(77), vae=vae,
        text_encoder_2=t5["text_encoder"], tokenizer_2=t5["tokenizer"], transformer=transformer,
    )  # fmt: skip


MAKERS = {
    "flux": lambda: _flux(FluxPipeline), "kontext": lambda: _flux(FluxKontextPipeline),
    "wan": _wan, "wan_i2v": lambda: _wan(with_picture=True), "wan_both": lambda: _wan(both=True), "ltx": _ltx,
}  # fmt: skip


def saved(name: str, folder: Path) -> str:
    """Save the pipeline of this name (of `MAKERS`) in ``folder``, once; return where it is."""
    path = folder / name
    if not path.is_dir():
        torch.manual_seed(0)
        MAKERS[name]().save_pretrained(path)
    return str(path)


def picture(height: int = 60, width: int = 100) -> np.ndarray:
    """A picture of a scene, left half red and right half blue."""
    image = np.zeros((height, width, 3), np.uint8)
    image[:, : width // 2, 0] = image[:, width // 2 :, 2] = 200
    return image
