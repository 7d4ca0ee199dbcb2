"""Pipelines of `diffusers` with random weights, some hundred kilobytes each: for tests and the benchmark."""

from pathlib import Path

import numpy as np
import torch
from diffusers import (
    AutoencoderKL,
    AutoencoderKLCogVideoX,
    AutoencoderKLFlux2,
    AutoencoderKLHunyuanVideo,
    AutoencoderKLLTXVideo,
    AutoencoderKLWan,
    CogVideoXDDIMScheduler,
    CogVideoXImageToVideoPipeline,
    CogVideoXPipeline,
    CogVideoXTransformer3DModel,
    FlowMatchEulerDiscreteScheduler,
    Flux2KleinPipeline,
    Flux2Transformer2DModel,
    FluxKontextPipeline,
    FluxPipeline,
    FluxTransformer2DModel,
    HunyuanVideoPipeline,
    HunyuanVideoTransformer3DModel,
    LTXPipeline,
    LTXVideoTransformer3DModel,
    WanImageToVideoPipeline,
    WanPipeline,
    WanTransformer3DModel,
)
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    LlamaConfig,
    LlamaModel,
    PreTrainedTokenizerFast,
    Qwen3Config,
    Qwen3ForCausalLM,
    T5Config,
    T5EncoderModel,
)

_SIZES = {"vocab_size": 8, "hidden_size": 16, "intermediate_size": 16, "num_attention_heads": 2}
"""Of text encoders."""


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


def _wan(with_image=False, both=False):
    vae = AutoencoderKLWan(
        base_dim=8, z_dim=16, dim_mult=[1, 1, 1, 1], num_res_blocks=1, temperal_downsample=[False, True, True]
    )
    transformer = WanTransformer3DModel(
        patch_size=(1, 2, 2),
        num_attention_heads=2,
        attention_head_dim=12,
        in_channels=36 if with_image else 16,
        out_channels=16,
        text_dim=16,
        freq_dim=16,
        ffn_dim=16,
        num_layers=2,
        rope_max_seq_len=32,
    )
    parts = {**_text_parts(), "vae": vae, "transformer": transformer}
    parts["scheduler"] = FlowMatchEulerDiscreteScheduler(shift=3.0)
    if with_image:
        return WanImageToVideoPipeline(**parts, image_encoder=None, image_processor=None)
    return WanPipeline(**parts, expand_timesteps=both)


def _ltx():
    vae = AutoencoderKLLTXVideo(
        latent_channels=8,
        block_out_channels=(8,) * 4,
        decoder_block_out_channels=(8,) * 4,
        layers_per_block=(1,) * 5,
        decoder_layers_per_block=(1,) * 5,
        spatio_temporal_scaling=(True, True, False, False),
        decoder_spatio_temporal_scaling=(True, True, False, False),
        decoder_inject_noise=(False,) * 5,
        upsample_residual=(False,) * 4,
        upsample_factor=(1,) * 4,
        patch_size=1,
        decoder_causal=False,
    )
    transformer = LTXVideoTransformer3DModel(
        in_channels=8,
        out_channels=8,
        num_attention_heads=2,
        attention_head_dim=8,
        cross_attention_dim=16,
        num_layers=1,
        caption_channels=16,
    )
    return LTXPipeline(**_text_parts(), vae=vae, transformer=transformer, scheduler=FlowMatchEulerDiscreteScheduler())


def _clip():
    return CLIPTextModel(CLIPTextConfig(**_SIZES, num_hidden_layers=1, projection_dim=16, eos_token_id=1))


def _cogvideox(kind, channels=4):
    vae = AutoencoderKLCogVideoX(
        down_block_types=("CogVideoXDownBlock3D",) * 4,
        up_block_types=("CogVideoXUpBlock3D",) * 4,
        block_out_channels=(8,) * 4,
        latent_channels=4,
        layers_per_block=1,
        norm_num_groups=2,
    )
    transformer = CogVideoXTransformer3DModel(
        num_attention_heads=2,
        attention_head_dim=16,
        in_channels=channels,
        out_channels=4,
        time_embed_dim=2,
        text_embed_dim=16,
        num_layers=1,
        sample_width=8,
        sample_height=4,
        sample_frames=17,
        use_rotary_positional_embeddings=True,
    )
    return kind(**_text_parts(), vae=vae, transformer=transformer, scheduler=CogVideoXDDIMScheduler())


def _hunyuan():
    transformer = HunyuanVideoTransformer3DModel(
        in_channels=4,
        out_channels=4,
        num_attention_heads=2,
        attention_head_dim=10,
        num_layers=1,
        num_single_layers=1,
        num_refiner_layers=1,
        patch_size=1,
        text_embed_dim=16,
        pooled_projection_dim=16,
        rope_axes_dim=(2, 4, 4),
    )
    vae = AutoencoderKLHunyuanVideo(
        latent_channels=4,
        block_out_channels=(8,) * 4,
        layers_per_block=1,
        norm_num_groups=4,
        mid_block_add_attention=False,
    )
    llama = LlamaModel(LlamaConfig(**_SIZES, num_hidden_layers=4, num_key_value_heads=2))
    return HunyuanVideoPipeline(
        text_encoder=llama,
        tokenizer=words(),
        transformer=transformer,
        vae=vae,
        text_encoder_2=_clip(),
        tokenizer_2=words(77),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=7.0),
    )


def _klein():
    tokenizer = words()
    tokenizer.chat_template = "{% for m in messages %}{{ m.content }} {% endfor %}"
    # The pipeline reads the 9th, 18th and 27th layer.
    reader = Qwen3ForCausalLM(Qwen3Config(**_SIZES, num_hidden_layers=28, num_key_value_heads=2, head_dim=8))
    vae = AutoencoderKLFlux2(
        block_out_channels=(8,),
        down_block_types=("DownEncoderBlock2D",),
        up_block_types=("UpDecoderBlock2D",),
        latent_channels=4,
        layers_per_block=1,
        norm_num_groups=1,
    )
    transformer = Flux2Transformer2DModel(
        in_channels=16,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=48,
        axes_dims_rope=(4, 4, 4, 4),
        guidance_embeds=False,
    )
    return Flux2KleinPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(),
        vae=vae,
        text_encoder=reader,
        tokenizer=tokenizer,
        transformer=transformer,
        is_distilled=True,
    )


def _flux(kind):
    clip = _clip()
    vae = AutoencoderKL(
        block_out_channels=(4,),
        norm_num_groups=1,
        latent_channels=1,
        sample_size=32,
        use_quant_conv=False,
        use_post_quant_conv=False,
        shift_factor=0.0,
        scaling_factor=1.0,
    )
    transformer = FluxTransformer2DModel(
        in_channels=4,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=16,
        pooled_projection_dim=16,
        axes_dims_rope=(4, 4, 8),
    )
    t5 = _text_parts()
    return kind(
        scheduler=FlowMatchEulerDiscreteScheduler(),
        text_encoder=clip,
        tokenizer=words(77),
        vae=vae,
        text_encoder_2=t5["text_encoder"],
        tokenizer_2=t5["tokenizer"],
        transformer=transformer,
    )


MAKERS = {
    "flux": lambda: _flux(FluxPipeline),
    "kontext": lambda: _flux(FluxKontextPipeline),
    "klein": _klein,
    "cogvideox": lambda: _cogvideox(CogVideoXPipeline),
    "hunyuan": _hunyuan,
    "cogvideox_i2v": lambda: _cogvideox(CogVideoXImageToVideoPipeline, channels=8),
    "wan": _wan,
    "wan_i2v": lambda: _wan(with_image=True),
    "wan_both": lambda: _wan(both=True),
    "ltx": _ltx,
}


def saved(name: str, folder: Path) -> str:
    """Save the pipeline of this name (of `MAKERS`) in ``folder``, once; return where it is."""
    path = folder / name
    if not path.is_dir():
        torch.manual_seed(0)
        MAKERS[name]().save_pretrained(path)
    return str(path)


def image(height: int = 60, width: int = 100) -> np.ndarray:
    """An image of a scene, left half red and right half blue."""
    image = np.zeros((height, width, 3), np.uint8)
    image[:, : width // 2, 0] = image[:, width // 2 :, 2] = 200
    return image
